"""The state machine of a rollout, folded from its journaled events. Nothing else remembers where a rollout stands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sluicegate.domain.evidence import Predicted
from sluicegate.domain.servers import Serving
from sluicegate.domain.spec import Release, StageSpec


class Kind(StrEnum):
    """Kinds of journal events of a rollout, in the order in which they usually come."""

    REGISTERED = "REGISTERED"
    OPENED = "OPENED"
    DEPLOYED = "DEPLOYED"
    STAGE_ENTERED = "STAGE_ENTERED"
    RESUMED = "RESUMED"
    """The traffic of a stage was given back: to a new watcher, or because evidence came back."""
    EVIDENCE = "EVIDENCE"
    WITHDRAWN = "WITHDRAWN"
    """The watcher could read nothing and took the stage's traffic away; the rollout stays open."""
    LOOKED = "LOOKED"
    """Now and then while traffic is withdrawn: somebody is still looking."""
    APPROVAL_ASKED = "APPROVAL_ASKED"
    APPROVED = "APPROVED"
    PAUSED = "PAUSED"
    UNPAUSED = "UNPAUSED"
    STAGE_DECIDED = "STAGE_DECIDED"
    CUT = "CUT"
    PROMOTED = "PROMOTED"
    REVERTED = "REVERTED"
    FOLLOWED_UP = "FOLLOWED_UP"
    """One thing that comes after the end of a rollout is done, for example its incident is recorded."""
    REINSTATED = "REINSTATED"
    RETIRED = "RETIRED"
    TROUBLE = "TROUBLE"


ENDS = (Kind.CUT, Kind.PROMOTED, Kind.REVERTED)
"""After any of these nothing may put traffic on the candidate again, except that a promotion keeps it."""


APPROVED_UNDECIDED = "approved_undecided"
"""Reason of a stage that a person let pass without a verdict: only before the weights that need a PASS of every gate."""


class Phase(StrEnum):
    """Where a rollout stands now."""

    OPENED = "opened"
    DEPLOYED = "deployed"
    STAGE = "stage"
    PASSED = "passed"
    FAILED = "failed"
    RETAINING = "retaining"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "PROMOTED"
    REVERTED = "REVERTED"
    ABORTED = "ABORTED"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True)
class StageRecord:
    """What happened at one stage. Times are seconds since the epoch."""

    index: int
    kind: str
    weight: int
    entered_at: float
    left_at: float | None = None
    verdict: str | None = None
    gate: str | None = None
    """The gate that decided a FAIL."""
    reason: str = ""
    asked: bool = False
    """Whether the watcher has asked for a person's approval."""
    approved: bool = False
    paused_s: float = 0.0
    """Seconds that a person held this stage; its deadline is later by as much."""
    withdrawals: int = 0
    """How often its traffic was taken away because nothing could be read."""

    @property
    def passed(self) -> bool:
        """Left for the next stage: by the judge's PASS, or by a person where little is at risk and nothing is decided."""
        return self.verdict == "PASS" or (self.verdict == "INCONCLUSIVE" and self.reason == APPROVED_UNDECIDED)


@dataclass(frozen=True)
class Rollout:
    """One attempt to put a candidate in service, as far as its events tell."""

    model: str
    rollout_id: str
    candidate: str
    champion: str | None
    token: int
    release: Release
    predicted: Predicted | None
    score_range: tuple[float, float]
    opened_at: float
    serving: Serving = field(default_factory=Serving)
    phase: Phase = Phase.OPENED
    outcome: Outcome | None = None
    reason: str = ""
    message: str = ""
    records: tuple[StageRecord, ...] = field(default=())
    cut_at: float | None = None
    ending: Outcome | None = None
    """How a rollout that was cut is going to end, and why it was cut."""
    cut_reason: str = ""
    ended_at: float | None = None
    paused_at: float | None = None
    withdrawn_at: float | None = None
    followed_up: frozenset[str] = frozenset()
    """What of the work after its end is done."""
    reinstated: bool = False
    """Promoted, and taken back: the old champion serves again."""
    retired: bool = False

    @property
    def stages(self) -> tuple[StageSpec, ...]:
        """The plan; a first version has nobody to be compared with and so no stages."""
        return self.release.stages if self.champion is not None else ()

    @property
    def open(self) -> bool:
        """Whether it may still put traffic on the candidate."""
        return self.outcome is None

    @property
    def next_stage(self) -> int:
        """Index of the stage that may be entered next."""
        return len(self.records)


def fold(model: str, rollout_id: str, events: Iterable[tuple[float, str, Mapping[str, Any]]]) -> Rollout | None:
    """State after the events (at, kind, data), oldest first; None when it was never opened."""
    state: Rollout | None = None
    for at, kind, data in events:
        if kind == Kind.OPENED:
            state = _opened(model, rollout_id, at, data)
        elif state is not None:
            state = after(state, at, kind, data)
    return state


def _opened(model: str, rollout_id: str, at: float, data: Mapping[str, Any]) -> Rollout:
    low, high = data["score_range"]
    return Rollout(
        model=model,
        rollout_id=rollout_id,
        candidate=data["candidate"],
        champion=data["champion"],
        token=int(data["token"]),
        release=Release.model_validate(data["release"]),
        serving=Serving.model_validate(data.get("serving", {})),
        predicted=predicted_from(data.get("predicted")),
        score_range=(float(low), float(high)),
        opened_at=at,
    )


def predicted_from(raw: Mapping[str, Any] | None) -> Predicted | None:
    """Predicted from its JSON form."""
    return None if raw is None else Predicted.from_dict(raw)


def after(state: Rollout, at: float, kind: str, data: Mapping[str, Any]) -> Rollout:
    """State after one more event; kinds that say nothing about where the rollout stands change nothing."""
    change = _CHANGES.get(kind)
    return state if change is None else change(state, at, data)


def _deployed(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, phase=Phase.DEPLOYED) if state.phase is Phase.OPENED else state


def _cut(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    if state.cut_at is not None:
        return state
    return replace(state, cut_at=at, ending=Outcome(data.get("outcome", Outcome.REVERTED)), cut_reason=_reason(data))


def _promoted(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return _ended(replace(state, phase=Phase.RETAINING), Outcome.PROMOTED, at, data)


def _reverted(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return _ended(replace(state, phase=Phase.ENDED), Outcome(data.get("outcome", Outcome.REVERTED)), at, data)


def _ended(state: Rollout, outcome: Outcome, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, outcome=outcome, ended_at=at, reason=_reason(data), message=_message(data))


def _followed_up(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, followed_up=state.followed_up | {str(data["what"])})


def _reinstated(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, phase=Phase.ENDED, reinstated=True, reason=_reason(data))


def _retired(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, phase=Phase.ENDED, retired=True)


def _paused(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, paused_at=at) if state.paused_at is None else state


def _unpaused(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    if state.paused_at is None:
        return state
    begun = max([state.paused_at, *(r.entered_at for r in state.records[-1:])])
    paused_s = at - begun + (state.records[-1].paused_s if state.records else 0.0)
    return replace(_with_stage(state, paused_s=paused_s), paused_at=None)


def _withdrawn(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    times = state.records[-1].withdrawals if state.records else 0
    return replace(_with_stage(state, withdrawals=times + 1), withdrawn_at=at)


def _given_back(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return replace(state, withdrawn_at=None)


def _with_stage(state: Rollout, **changes: Any) -> Rollout:
    """The state with its present stage changed."""
    if not state.records:
        return state
    *before, last = state.records
    return replace(state, records=(*before, replace(last, **changes)))


def _asked(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return _with_stage(state, asked=True) if int(data["index"]) == len(state.records) - 1 else state


def _approved(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    return _with_stage(state, approved=True) if int(data["index"]) == len(state.records) - 1 else state


def _reason(data: Mapping[str, Any]) -> str:
    return str(data.get("reason", ""))


def _message(data: Mapping[str, Any]) -> str:
    return str(data.get("message", ""))


def _entered(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    if int(data["index"]) < len(state.records):
        return state
    record = StageRecord(int(data["index"]), str(data["kind"]), int(data["weight"]), at)
    return replace(state, phase=Phase.STAGE, records=(*state.records, record))


def _decided(state: Rollout, at: float, data: Mapping[str, Any]) -> Rollout:
    *before, last = state.records
    if last.verdict is not None or int(data["index"]) != last.index:  # said again, or by a late watcher of the stage before
        return state
    last = replace(last, left_at=at, verdict=str(data["verdict"]), gate=data.get("gate"), reason=_reason(data))
    phase = Phase.PASSED if last.passed else Phase.FAILED
    return replace(state, phase=phase, records=(*before, last), reason=_reason(data), message=_message(data))


_CHANGES: Mapping[str, Callable[[Rollout, float, Mapping[str, Any]], Rollout]] = {
    Kind.DEPLOYED: _deployed,
    Kind.STAGE_ENTERED: _entered,
    Kind.RESUMED: _given_back,
    Kind.WITHDRAWN: _withdrawn,
    Kind.APPROVAL_ASKED: _asked,
    Kind.APPROVED: _approved,
    Kind.PAUSED: _paused,
    Kind.UNPAUSED: _unpaused,
    Kind.STAGE_DECIDED: _decided,
    Kind.CUT: _cut,
    Kind.PROMOTED: _promoted,
    Kind.REVERTED: _reverted,
    Kind.FOLLOWED_UP: _followed_up,
    Kind.REINSTATED: _reinstated,
    Kind.RETIRED: _retired,
}
