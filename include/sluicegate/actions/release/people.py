"""What people do to an open rollout without ending it: pause, resume, approve. Each is journaled with its author and reason.

The watcher reads the journal at every look, so it does not matter from where a person acts.
"""

from sluicegate.actions.release.evidence import present_verdict
from sluicegate.actions.release.read import rollout
from sluicegate.domain.rollout import ENDS, Kind, Phase, Rollout
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.errors import RefusedError
from sluicegate.gates.budget import needs_pass
from sluicegate.gates.rules import NO_HARM_SEEN
from sluicegate.ports import Ports

UNDECIDED = ("undecided", NO_HARM_SEEN)
"""Reasons of a gate that has seen enough to speak and only cannot decide: nothing is missing, no harm is shown."""


def pause(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str) -> Rollout:
    """Hold the weight: the watcher goes on looking, renewing and, on harm, cutting; no stage is left or entered, nothing is promoted.

    Pausing a paused rollout changes nothing. RefusedError when it has ended or was cut.
    """
    state = _open(ports, model, rollout_id, "paused")
    if state.paused_at is None:
        _write(ports, state, Kind.PAUSED, {"reason": reason}, author, reason)
    return rollout(ports, model, rollout_id)


def resume(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str) -> Rollout:
    """End a pause; the stage's deadline is later by as long as it lasted. RefusedError when it is not paused."""
    state = _open(ports, model, rollout_id, "resumed")
    if state.paused_at is None:
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' is not paused: there is nothing to resume")
    _write(ports, state, Kind.UNPAUSED, {"reason": reason}, author, reason)
    return rollout(ports, model, rollout_id)


def approve(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str) -> Rollout:
    """A person's yes for the present stage, once. It is never more than the judge's evidence allows:

    - where the stage asks for approval, the stage is left when it is approved *and* the judge says PASS, whichever comes first;
    - where `undecided: hold` holds an early stage after its deadline, approval lets it go on without a verdict, provided that
      every gate has its evidence and none has seen harm. A stage that needs a PASS of every gate is not left without it.

    RefusedError says which of these is not so.
    """
    state = _open(ports, model, rollout_id, "approved")
    if state.phase is not Phase.STAGE:
        raise RefusedError(
            f"rollout '{rollout_id}' of model '{model}' is at no stage now ({state.phase}): there is nothing to approve"
        )
    index = len(state.records) - 1
    if not state.records[index].approved:
        if not state.stages[index].approve:
            _refuse_approval(ports, state, index)
        _write(ports, state, Kind.APPROVED, {"index": index, "reason": reason}, author, reason)
    return rollout(ports, model, rollout_id)


def may_leave_undecided(state: Rollout, index: int, verdict: StageVerdict) -> bool:
    """Whether a person's yes is enough to leave this stage: little is at risk, nothing is missing, no gate has seen harm."""
    if state.release.undecided != "hold" or needs_pass(state.release, state.stages[index]):
        return False
    decided = (g.verdict is Verdict.PASS or g.reason in UNDECIDED for g in verdict.gates)
    return verdict.reason in UNDECIDED and not verdict.frozen and all(decided)


def overdue(state: Rollout, now: float) -> bool:
    """Whether the present stage is past its deadline; the time for which people held it does not count."""
    record = state.records[-1]
    held = record.paused_s + (0.0 if state.paused_at is None else now - max(state.paused_at, record.entered_at))
    return now - record.entered_at - held > state.stages[record.index].deadline_s


def _refuse_approval(ports: Ports, state: Rollout, index: int) -> None:
    name = f"stage {index} of rollout '{state.rollout_id}' of model '{state.model}'"
    if state.release.undecided != "hold":
        raise RefusedError(f"{name} does not ask for approval (stages[].approve, undecided: hold): the judge alone decides")
    if needs_pass(state.release, state.stages[index]):
        raise RefusedError(f"{name} needs a PASS of every gate: approval cannot replace it, wait for the evidence or abort")
    if not overdue(state, ports.clock.now()):
        raise RefusedError(f"{name} is not past its deadline: the judge is still looking")
    verdict = present_verdict(ports, state, index)
    if not may_leave_undecided(state, index, verdict):
        raise RefusedError(f"{name} cannot be approved now ({verdict.reason}): {verdict.message}")


def _open(ports: Ports, model: str, rollout_id: str, done: str) -> Rollout:
    state = rollout(ports, model, rollout_id)
    if not state.open or state.cut_at is not None:
        how = f"has ended {state.outcome}" if state.outcome else f"was cut and ends {state.ending}"
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' {how}: it cannot be {done}")
    return state


def _write(ports: Ports, state: Rollout, kind: Kind, data: dict[str, object], author: str, reason: str) -> None:
    ports.journal.append(state.model, state.rollout_id, kind, data, author=author, reason=reason, token=state.token, unless=ENDS)
