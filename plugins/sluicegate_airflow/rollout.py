"""The tasks of a rollout: each calls one verb of `sluicegate.actions.release` and says what came of it."""

from typing import Any

from airflow.sdk import BaseOperator, Context, SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from sluicegate.domain.rollout import Kind, Outcome, Phase, Rollout
from sluicegate.errors import InputError, LockedError, PausedError, RefusedError
from sluicegate.ports import Ports
from sluicegate.wiring import wire
from sluicegate_airflow.errors import told
from sluicegate_airflow.pauses import PauseTrigger

PERSISTENT = 40
"""Times that the way back is tried while something outside does not answer: more than an hour."""
GREEN, YELLOW, RED = "#d9ead3", "#fff2cc", "#f4cccc"
ROLLOUT = "{{ ti.xcom_pull(task_ids='open', key='return_value')['rollout_id'] }}"
"""Id of the run's rollout, from the task `open`; a template, so that the graph shows the story and not an edge to every task."""


class ReleaseOperator(BaseOperator):
    """Calls the verb `verb(ports, model, rollout_id, [index,] author=...)` of the release actions.

    Parameters
    ----------
    verb : str
        deploy, enter_stage, promote or retire.
    index : int or None
        Position of the stage in the plan, for enter_stage.
    """

    template_fields = ("rollout_id",)
    ui_color = GREEN

    def __init__(self, *, model: str, verb: str, index: int | None = None, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.verb, self.index, self.rollout_id = model, verb, index, rollout_id

    def execute(self, context: Context) -> dict[str, Any]:
        from sluicegate.actions import release

        stage = () if self.index is None else (self.index,)
        try:
            with told():
                state = getattr(release, self.verb)(wire(), self.model, self.rollout_id, *stage, author=author(context))
        except PausedError as e:
            self.log.info("%s", e)
            self.defer(trigger=PauseTrigger(self.model, self.rollout_id), method_name="again")
        return said(self, state)

    def again(self, context: Context, event: str) -> dict[str, Any]:
        """Called when the pause is over."""
        return self.execute(context)


class OpenOperator(BaseOperator):
    """Takes the model's lock for the version that was asked for: by hand (param), or by the newest candidate event."""

    ui_color = GREEN

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> dict[str, Any]:
        from sluicegate.actions.release import champion_version

        with told():
            ports, version = wire(), wanted_version(context)
            if champion_version(ports, self.model) == version:
                raise AirflowSkipException(f"version {version} is the champion already: nothing to release")
            return said(self, self._open(ports, version, context))

    def _open(self, ports: Ports, version: str, context: Context) -> Rollout:
        from sluicegate.actions.release import open_rollout

        who = {"author": author(context), "run_id": str(context["run_id"])}
        try:
            return open_rollout(ports, self.model, version, **who)
        except LockedError:
            if not end_abandoned(ports, self.model, who["author"]):
                raise
        return open_rollout(ports, self.model, version, **who)


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


class RevertOperator(BaseOperator):
    """Takes the candidate back unless the rollout was promoted. A teardown: it also runs when a person marks the run failed."""

    template_fields = ("rollout_id",)
    ui_color = RED

    def __init__(self, *, model: str, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(**{"retries": PERSISTENT, **kwargs})
        self.model, self.rollout_id = model, rollout_id

    def execute(self, context: Context) -> dict[str, Any]:
        from sluicegate.actions.release import promote, revert, rollout

        with told():
            ports = wire()
            state = rollout(ports, self.model, self.rollout_id)
            if state.outcome is Outcome.PROMOTED:
                promote(ports, self.model, self.rollout_id, author=author(context))  # what a failed promotion left undone
                raise AirflowSkipException(f"version {state.candidate} was promoted: nothing to take back")
            reason = state.reason if state.phase is Phase.FAILED else "task_failed"
            return said(self, revert(ports, self.model, self.rollout_id, author=author(context), reason=reason))


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

        with told():
            state = rollout(wire(), self.model, self.rollout_id)
            if state.open:
                raise RefusedError(f"rollout '{state.rollout_id}' of model '{self.model}' has neither been promoted nor reverted")
        context["ti"].xcom_push(key="return_value", value=said(self, state))
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


def end_abandoned(ports: Ports, model: str, mine: str) -> bool:
    """End what an earlier run of the same Dag left holding the lock (its process was killed, or a person ended the run).

    One run of the Dag is active at a time, so the holder's run is over. False when somebody else holds the lock.
    """
    from sluicegate.actions.release.abandoned import finish

    lock = ports.journal.holder(model)
    if lock is None:
        return True
    opened = ports.journal.events(model, lock.holder, kinds=(Kind.OPENED,))
    if opened and opened[0].author != mine:
        return False
    finish(ports, lock, author=mine)
    return True


def author(context: Context) -> str:
    """Who asks, as the journal will say."""
    return f"airflow:{context['dag'].dag_id}"


def said(task: BaseOperator, state: Rollout) -> dict[str, Any]:
    """Log one sentence about the rollout and return what other tasks and people read of it."""
    ended = f" {state.outcome} ({state.reason})" if state.outcome else ""
    task.log.info(
        "rollout %s: version %s for champion %s, phase %s%s %s",
        *(state.rollout_id, state.candidate, state.champion, state.phase, ended, state.message),
    )
    facts = ("rollout_id", "candidate", "champion", "reason", "message")
    return {"phase": str(state.phase), "outcome": state.outcome and str(state.outcome), **{f: getattr(state, f) for f in facts}}
