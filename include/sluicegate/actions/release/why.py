"""Why the last verdict is what it is, and what comes next: from the journal alone, so that it works when all else is down."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sluicegate.actions.release.evidence import present_verdict
from sluicegate.actions.release.people import may_leave_undecided
from sluicegate.actions.release.read import rollout
from sluicegate.domain.rollout import Kind, Outcome, Phase, Rollout, StageRecord
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.gates.rules import NO_HARM_SEEN
from sluicegate.ports import Event, Ports

SILENT_FOR = 3
"""Looks that may be missing before it is said that nobody looks."""


@dataclass(frozen=True)
class Explanation:
    """A verdict in plain words; every sentence stands on its own."""

    model: str
    rollout: str
    standing: str
    """Where the rollout is and since when."""
    verdict: str | None
    """PASS, FAIL, INCONCLUSIVE; None before the first stage."""
    because: str
    gates: tuple[dict[str, Any], ...] = ()
    """Gate, verdict, reason, message, numbers: what was seen, its bounds, the margin, the error budget spent."""
    missing: tuple[str, ...] = ()
    """What keeps the stage from passing."""
    next: str = ""
    """What happens next, and when at the latest."""
    people: tuple[str, ...] = field(default=())
    """Who did what to it, and why."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def explain(ports: Ports, model: str, rollout_id: str) -> Explanation:
    """Explain the newest verdict of a rollout."""
    state, now = rollout(ports, model, rollout_id), ports.clock.now()
    people = tuple(_deed(e) for e in ports.journal.events(model, rollout_id, kinds=_DEEDS))
    standing = _standing(state, now)
    if not state.records:
        return Explanation(model, rollout_id, standing, None, _before(state), next=_next(state, None, now), people=people)
    verdict = present_verdict(ports, state, state.records[-1].index)
    return Explanation(
        *(model, rollout_id, standing, str(verdict.verdict), f"{verdict.reason}: {verdict.message}"),
        gates=tuple(g.to_dict() for g in verdict.gates),
        missing=tuple(_missing(verdict) + _silence(ports, state, now)),
        next=_next(state, verdict, now),
        people=people,
    )


_DEEDS = (Kind.PAUSED, Kind.UNPAUSED, Kind.APPROVED, Kind.WITHDRAWN, Kind.CUT, Kind.REINSTATED, Kind.RETIRED)


def _deed(event: Event) -> str:
    reason = event.reason or event.data.get("reason", "")
    return f"{event.kind.lower()} by {event.author}: {reason}"


def _missing(verdict: StageVerdict) -> list[str]:
    """What the stage waits for: gates that cannot decide yet, then what concerns no single gate."""
    if verdict.verdict is not Verdict.INCONCLUSIVE:
        return []
    waiting = [g for g in verdict.gates if g.verdict is Verdict.INCONCLUSIVE and g.reason != NO_HARM_SEEN]
    told = [f"{g.gate}: {g.message}" for g in waiting]
    return told if verdict.message in told else [*told, verdict.message]


def _standing(state: Rollout, now: float) -> str:
    name = f"version {state.candidate} for champion {state.champion}"
    if state.reinstated:
        return f"{name} was promoted and taken back: version {state.champion} serves again ({state.reason})"
    if state.outcome is not None:
        return f"{name} has ended {state.outcome} ({state.reason})"
    if not state.records:
        return f"{name} is {state.phase}: it has entered no stage yet"
    record = state.records[-1]
    where = f"stage {record.index + 1} of {len(state.stages)} ({_stage(record)})"
    held = ", paused by a person" if state.paused_at else ""
    gone = ", its traffic withdrawn since nothing could be read" if state.withdrawn_at else ""
    return f"{name} is at {where} since {now - record.entered_at:.0f} s{held}{gone}"


def _stage(record: StageRecord) -> str:
    return "mirror" if record.kind == "mirror" else f"{record.weight} % of the users"


def _before(state: Rollout) -> str:
    return (
        "a first version has nobody to be compared with"
        if state.champion is None
        else "no stage was entered, so nothing was judged"
    )


def _silence(ports: Ports, state: Rollout, now: float) -> list[str]:
    """Said when an open stage is not looked at any more."""
    if state.phase is not Phase.STAGE or state.withdrawn_at is not None:
        return []
    looks = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.EVIDENCE,))
    last = looks[-1].at if looks else state.records[-1].entered_at
    if now - last <= max(SILENT_FOR * state.release.look_every, state.release.lease):
        return []
    return [f"nobody has looked for {now - last:.0f} s: is the triggerer running? the lease has ended, so nobody is exposed"]


def _next(state: Rollout, verdict: StageVerdict | None, now: float) -> str:
    if state.outcome is Outcome.PROMOTED and not (state.retired or state.reinstated or state.champion is None):
        left = max(0.0, (state.ended_at or now) + state.release.retention - now)
        return f"version {state.champion} stays warm for {left:.0f} s more: until then `reinstate` brings it back"
    if state.outcome is not None:
        return "nothing: this rollout is over"
    if state.cut_at is not None:
        return f"it was cut ({state.cut_reason}) and ends {state.ending}: `revert` finishes it"
    if state.paused_at is not None:
        return "a person has paused it: `resume` lets it go on, `abort` ends it; harm is cut meanwhile"
    if verdict is None or state.phase is not Phase.STAGE:
        return _after_this(state)
    return _next_at_stage(state, verdict, now)


def _next_at_stage(state: Rollout, verdict: StageVerdict, now: float) -> str:
    record, stage = state.records[-1], state.stages[state.records[-1].index]
    left = stage.deadline_s + record.paused_s - (now - record.entered_at)
    if verdict.verdict is Verdict.PASS:
        return f"{_after_this(state)}{'' if record.approved or not stage.approve else ', once a person approves it'}"
    if left > 0:
        end = "the candidate is taken back" if state.release.undecided == "revert" else "it is held for a person"
        return f"without a verdict {end} in {left:.0f} s"
    if state.release.undecided == "revert":
        return "its deadline is over: it is taken back at the next look"
    if may_leave_undecided(state, record.index, verdict):
        return "its deadline is over: `approve` lets this early stage go on, `abort` ends it"
    return "its deadline is over: it is held until the evidence decides, or `abort` ends it"


def _after_this(state: Rollout) -> str:
    following = len(state.records)
    if following < len(state.stages):
        stage = state.stages[following]
        return f"stage {following + 1} follows ({'mirror' if stage.weight is None else f'{stage.weight} % of the users'})"
    return f"version {state.candidate} becomes champion"
