"""A person acts on the newest rollout of a model from the UI: the same verbs as `python -m sluicegate`, in the name of the user."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from sluicegate.errors import RefusedError
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


class OperateOperator(BaseOperator):
    """Calls the verb that the params name; fails with its sentence when it makes no sense now."""

    ui_color = "#cfe2f3"

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> dict[str, Any]:
        from sluicegate.actions import release
        from sluicegate.actions.release.asked import facts

        action, reason = context["params"]["action"], context["params"]["reason"]
        with told():
            ports = wire()
            state = release.status(ports, self.model)
            if state is None:
                raise RefusedError(f"model '{self.model}' has no rollout yet: there is nothing to {action}")
            verb = getattr(release, VERBS[action])
            return said(self, facts(verb(ports, self.model, state.rollout_id, author=person(context), reason=reason)))


def person(context: Context) -> str:
    """The user who triggered the run, as the journal will say; the Dag itself when nobody did."""
    user = context["dag_run"].triggering_user_name
    return f"airflow:{context['dag'].dag_id}" if user is None else f"airflow-user:{user}"
