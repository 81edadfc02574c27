"""Where work is carried out is decided here and nowhere else: on this machine in the local profile, in a pod in the cluster.

Dag files call these functions, so they are the same in both.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator

from sluicegate.settings import Settings
from sluicegate_airflow.operate import OperateOperator
from sluicegate_airflow.orders import OrderOperator, ReportedOrderOperator
from sluicegate_airflow.rollout import ReleaseOperator


def order_task(model: str, action: str, given: Mapping[str, Any] | None = None, **kwargs: Any) -> BaseOperator:
    """The task that carries out the order `action`.

    Parameters
    ----------
    given : mapping
        What the order is made from, usually outputs of earlier tasks; `inputs.INPUTS[action]` turns it into the order's inputs.
    """
    kind: type[BaseOperator] = ReportedOrderOperator if action == "compare" else OrderOperator
    if in_pods():
        from sluicegate_airflow import pods  # brings Kubernetes, which a local parse has no use for

        kind = pods.ReportedPodOrderOperator if action == "compare" else pods.PodOrderOperator
    return kind(task_id=kwargs.pop("task_id", action), model=model, action=action, given=dict(given or {}), **kwargs)


def verb_task(model: str, verb: str, index: int | None = None, **kwargs: Any) -> BaseOperator:
    """The task that carries out the verb; `index` is the stage's position in the plan, for enter_stage."""
    kind: type[BaseOperator] = ReleaseOperator
    if in_pods():
        from sluicegate_airflow import pods

        kind = pods.PodReleaseOperator
    return kind(task_id=kwargs.pop("task_id", verb), model=model, verb=verb, index=index, **kwargs)


def operate_task(model: str, **kwargs: Any) -> BaseOperator:
    """The task that carries out what a person chose in the params."""
    kind: type[BaseOperator] = OperateOperator
    if in_pods():
        from sluicegate_airflow import pods

        kind = pods.PodOperateOperator
    return kind(task_id=kwargs.pop("task_id", "act"), model=model, **kwargs)


def in_pods() -> bool:
    """Whether this installation works in the cluster."""
    return Settings.from_environment().profile == "kubernetes"
