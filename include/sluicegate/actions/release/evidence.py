"""The evidence of a stage as the journal has it: the case that its readings make, folded again in their order."""

from dataclasses import dataclass

from sluicegate.actions.release.read import rollout
from sluicegate.domain.compact import Base, plain, trail
from sluicegate.domain.rollout import Kind, Rollout
from sluicegate.domain.verdict import StageVerdict
from sluicegate.errors import RefusedError, SluicegateError
from sluicegate.gates import Case, add, judge, open_case
from sluicegate.gates.looks import NOT_A_NUMBER, SOURCE_MISSING
from sluicegate.ports import Event, Ports


@dataclass(frozen=True, eq=False)
class Seen:
    """What the looks at one stage have seen."""

    case: Case
    base: Base
    """The newest reading, on which the next one is packed."""
    usable_at: float
    """When the newest usable reading was taken, seconds since the epoch."""


def stage_seen(ports: Ports, state: Rollout, index: int) -> Seen:
    """The stage's evidence from the journal alone."""
    if state.predicted is None:
        raise SluicegateError(f"rollout '{state.rollout_id}' has no prediction from the offline comparison: it cannot be judged")
    entry = stage_entry(ports, state, index)
    newest = start = Base(entry.number, plain(entry.data["baseline"]))
    case = open_case(state.release, state.stages[index], state.predicted, start.reading, state.score_range)
    usable_at = case.taken_at
    looks = ports.journal.events(state.model, state.rollout_id, after=entry.number, kinds=(Kind.EVIDENCE,))
    mine = (look for look in looks if look.data["index"] == index)  # a late watcher of the stage before may still write
    for newest in trail(start, ((look.number, look.data["reading"]) for look in mine)):
        case = add(case, newest.reading)
        usable_at = usable_at if blind(case) else case.taken_at
    return Seen(case, newest, usable_at)


def stage_entry(ports: Ports, state: Rollout, index: int) -> Event:
    """The event with which the stage was entered."""
    entered = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.STAGE_ENTERED,))
    found = next((e for e in entered if e.data["index"] == index), None)
    if found is None:
        raise RefusedError(
            f"rollout '{state.rollout_id}' of model '{state.model}' has not entered stage {index}: nothing was seen there"
        )
    return found


def present_verdict(ports: Ports, state: Rollout, index: int) -> StageVerdict:
    """What the judge says about everything that was journaled of this stage."""
    return judge(stage_seen(ports, state, index).case)


def blind(case: Case) -> str:
    """Why the newest reading shows nothing of what the candidate does to users, or empty.

    With users at stake both the servers' and the gateway's counters must be there; a mirror exposes nobody, one source is enough.
    """
    problems = [s.problem for s in (case.arms_source, case.pairs_source if case.stage.kind == "mirror" else case.gateway_source)]
    gone = [p for p in problems if p in (SOURCE_MISSING, NOT_A_NUMBER)]
    return gone[0] if len(gone) > (case.stage.kind == "mirror") else ""


def present_stage(ports: Ports, model: str, rollout_id: str) -> tuple[Rollout, int]:
    """The rollout and the index of its newest stage; RefusedError when it has entered none."""
    state = rollout(ports, model, rollout_id)
    if not state.records:
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' has not entered a stage yet: there is no verdict")
    return state, len(state.records) - 1
