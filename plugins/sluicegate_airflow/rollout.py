"""The tasks of a rollout: each asks for one verb of `sluicegate.actions.release` and says what came of it.

What only reads the journal to choose a branch does so in the task itself, in every profile.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator, Context, SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from sluicegate.domain.rollout import Outcome
from sluicegate.errors import InputError, PausedError, RefusedError
from sluicegate.ports import Ports
from sluicegate.wiring import wire
from sluicegate_airflow.errors import told
from sluicegate_airflow.pauses import PauseTrigger

PERSISTENT = 40
"""Times that an end is tried while something outside does not answer: more than an hour."""
GREEN, YELLOW, RED = "#d9ead3", "#fff2cc", "#f4cccc"
ROLLOUT = "{{ ti.xcom_pull(task_ids='open', key='return_value')['rollout_id'] }}"
"""Id of the run's rollout, from the task `open`; a template, so that the graph shows the story and not an edge to every task."""


class ReleaseOperator(BaseOperator):
    """Carries out a verb here.

    Parameters
    ----------
    verb : str
        open, deploy, enter_stage, promote, revert or retire.
    index : int or None
        Position of the stage in the plan, for enter_stage.
    """

    template_fields = ("rollout_id",)
    ui_color = GREEN

    def __init__(self, *, model: str, verb: str, index: int | None = None, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.verb, self.index = model, verb, index
        self.rollout_id = "" if verb == "open" else rollout_id

    def execute(self, context: Context) -> dict[str, Any]:
        from sluicegate.actions.release.asked import ask, facts

        try:
            with told():
                ports = wire()
                came = facts(ask(ports, self.model, **wanted(ports, self, context)))
        except PausedError as e:
            self.log.info("%s", e)
            self.defer(trigger=PauseTrigger(self.model, self.rollout_id), method_name="again")
        return said(self, came)

    def again(self, context: Context, event: str) -> dict[str, Any]:
        """Called when the pause is over."""
        return self.execute(context)


def wanted(ports: Ports, task: Any, context: Context) -> dict[str, Any]:
    """What a verb is asked for with: `verb`, `author` and what it needs besides.

    Raises AirflowSkipException when the version that is to be opened serves already.
    """
    from sluicegate.actions.release import champion_version

    who = {"verb": task.verb, "author": author(context)}
    if task.verb != "open":
        stage = {} if task.index is None else {"index": task.index}
        return {**who, "rollout_id": task.rollout_id, **stage}
    version = wanted_version(context)
    if champion_version(ports, task.model) == version:
        raise AirflowSkipException(f"version {version} is the champion already: nothing to release")
    return {**who, "version": version, "run_id": str(context["run_id"])}


class BeginOperator(BaseOperator, SkipMixin):
    """Goes on to the first stage, or, for a first version that has nobody to be compared with, straight to promotion."""

    template_fields = ("rollout_id",)
    inherits_from_skipmixin = True
    ui_color = YELLOW

    def __init__(self, *, model: str, first: str, last: str, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.first, self.last, self.rollout_id = model, first, last, rollout_id

    def execute(self, context: Context) -> None:
        from sluicegate.actions.release import rollout

        with told():
            state = rollout(wire(), self.model, self.rollout_id)
        first = self.dag.get_task(self.first)
        self.skip(context["ti"], between(self, self.last, but=first) if state.champion is None else [first])


class OutcomeOperator(BaseOperator, SkipMixin):
    """Says how the rollout ended; when no old champion waits for its retirement, the rest of the run is skipped."""

    template_fields = ("rollout_id",)
    inherits_from_skipmixin = True
    ui_color = YELLOW

    def __init__(self, *, model: str, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.rollout_id = model, rollout_id

    def execute(self, context: Context) -> None:
        from sluicegate.actions.release import rollout
        from sluicegate.actions.release.asked import facts

        with told():
            state = rollout(wire(), self.model, self.rollout_id)
            if state.open:
                raise RefusedError(f"rollout '{state.rollout_id}' of model '{self.model}' has neither been promoted nor reverted")
        context["ti"].xcom_push(key="return_value", value=said(self, facts(state)))
        if state.outcome is not Outcome.PROMOTED or state.champion is None:
            self.skip(context["ti"], self.downstream_list)


def between(task: BaseOperator, end: str, but: BaseOperator | None = None) -> list[Any]:
    """All tasks on the ways from `task` to the task `end`, without these two and without `but`.

    Skipped in one go: left to Airflow, each would wait for the one before it and a branch of ten tasks would take seconds.
    """
    before = task.dag.get_task(end).get_flat_relative_ids(upstream=True)
    ways = [t for t in task.get_flat_relatives(upstream=False) if t.task_id in before]
    return [t for t in ways if but is None or t.task_id != but.task_id]


def wanted_version(context: Context) -> str:
    """The version to release: the param, else the newest one among the candidate events that started the run."""
    if version := context["params"].get("version"):
        return str(version)
    events = [e for of_asset in context["triggering_asset_events"].values() for e in of_asset]
    versions = [str(e.extra["version"]) for e in events if "version" in e.extra]
    if not versions:
        raise InputError("no version was named: fill in 'version' when you trigger the Dag by hand, for example 3")
    return max(versions, key=int)


def author(context: Context) -> str:
    """Who asks, as the journal will say."""
    return f"airflow:{context['dag'].dag_id}"


def said(task: BaseOperator, came: Mapping[str, Any]) -> dict[str, Any]:
    """Log one sentence about the rollout and return what other tasks and people read of it.

    Raises AirflowSkipException when a rollout that was to be taken back was promoted.
    """
    ended = f" {came['outcome']} ({came['reason']})" if came["outcome"] else ""
    task.log.info(
        "rollout %s: version %s for champion %s, phase %s%s %s",
        *(came["rollout_id"], came["candidate"], came["champion"], came["phase"], ended, came["message"]),
    )
    if getattr(task, "verb", "") == "revert" and came["outcome"] == Outcome.PROMOTED:
        raise AirflowSkipException(f"version {came['candidate']} was promoted: nothing to take back")
    return dict(came)
