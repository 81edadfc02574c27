"""A person acts on the newest rollout of a model from the UI: the same verbs as `python -m sluicegate`, in the name of the user."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from sluicegate.domain.rollout import Outcome
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports
from sluicegate.wiring import wire
from sluicegate_airflow.errors import told
from sluicegate_airflow.rollout import said

VERBS = {
    "pause": "pause",
    "resume": "resume",
    "approve": "approve",
    "abort": "abort",
    "revert": "take_back",
    "reinstate": "reinstate",
    "retire": "retire",
}
"""What a person chooses → the verb of the release actions."""
JOURNAL_ALONE = ("pause", "resume", "approve")
"""Choices that touch nothing else; all others start or stop servers too."""
CUTS = {"abort": Outcome.ABORTED, "revert": Outcome.REVERTED}
"""Choices that take the traffic of an open rollout away, and how it ends then."""
BLUE = "#cfe2f3"


class OperateOperator(BaseOperator):
    """Calls the verb that the params name; fails with its sentence when it makes no sense now."""

    ui_color = BLUE

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> dict[str, Any]:
        return act(self, self.model, context)


def act(task: BaseOperator, model: str, context: Context) -> dict[str, Any]:
    """Carry out here what the person chose."""
    from sluicegate.actions import release
    from sluicegate.actions.release.asked import facts

    with told():
        ports = wire()
        wish = wished(ports, model, context)
        verb = getattr(release, wish.pop("verb"))
        return said(task, facts(verb(ports, model, **wish)))


def wished(ports: Ports, model: str, context: Context) -> dict[str, Any]:
    """What the person chose, as a verb is asked for: `verb`, `rollout_id`, `author`, `reason`.

    Meant is the rollout that was the newest when the run was triggered: a later try must not end one that came since.
    """
    from sluicegate.actions import release

    action, reason = context["params"]["action"], context["params"]["reason"]
    state = release.status(ports, model, upto=context["dag_run"].run_after.timestamp())
    if state is None:
        raise RefusedError(f"model '{model}' has no rollout yet: there is nothing to {action}")
    return {"verb": VERBS[action], "rollout_id": state.rollout_id, "author": person(context), "reason": reason}


def person(context: Context) -> str:
    """The user who triggered the run, as the journal will say; the Dag itself when nobody did."""
    user = context["dag_run"].triggering_user_name
    return f"airflow:{context['dag'].dag_id}" if user is None else f"airflow-user:{user}"
