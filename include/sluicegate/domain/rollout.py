"""The state machine of a rollout, folded from its journaled events. Nothing else remembers where a rollout stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sluicegate.domain.evidence import Predicted
from sluicegate.domain.spec import Release, StageSpec


class Kind(StrEnum):
    """Kinds of journal events of a rollout, in the order in which they usually come."""

    REGISTERED = "REGISTERED"
    OPENED = "OPENED"
    DEPLOYED = "DEPLOYED"
    STAGE_ENTERED = "STAGE_ENTERED"
    RESUMED = "RESUMED"
    EVIDENCE = "EVIDENCE"
    STAGE_DECIDED = "STAGE_DECIDED"
    CUT = "CUT"
    PROMOTED = "PROMOTED"
    REVERTED = "REVERTED"
    RETIRED = "RETIRED"
    TROUBLE = "TROUBLE"


ENDS = (Kind.CUT, Kind.PROMOTED, Kind.REVERTED)
"""After any of these nothing may put traffic on the candidate again, except that a promotion keeps it."""


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
    phase: Phase = Phase.OPENED
    outcome: Outcome | None = None
    reason: str = ""
    message: str = ""
    records: tuple[StageRecord, ...] = field(default=())
    cut_at: float | None = None
    ended_at: float | None = None
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
            state = _after(state, at, kind, data)
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
        predicted=predicted_from(data.get("predicted")),
        score_range=(float(low), float(high)),
        opened_at=at,
    )


def predicted_from(raw: Mapping[str, Any] | None) -> Predicted | None:
    """Predicted from its JSON form."""
    return None if raw is None else Predicted.from_dict(raw)


def _after(state: Rollout, at: float, kind: str, data: Mapping[str, Any]) -> Rollout:
    match kind:
        case Kind.DEPLOYED:
            return replace(state, phase=Phase.DEPLOYED) if state.phase is Phase.OPENED else state
        case Kind.STAGE_ENTERED:
            return _entered(state, at, data)
        case Kind.STAGE_DECIDED:
            return _decided(state, at, data)
        case Kind.CUT:
            return replace(state, cut_at=at) if state.cut_at is None else state
        case Kind.PROMOTED:
            return replace(
                state, phase=Phase.RETAINING, outcome=Outcome.PROMOTED, ended_at=at, reason=_reason(data), message=_message(data)
            )
        case Kind.REVERTED:
            outcome = Outcome(data.get("outcome", Outcome.REVERTED))
            return replace(state, phase=Phase.ENDED, outcome=outcome, ended_at=at, reason=_reason(data), message=_message(data))
        case Kind.RETIRED:
            return replace(state, phase=Phase.ENDED, retired=True)
    return state


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
    if last.verdict is not None:
        return state
    last = replace(last, left_at=at, verdict=str(data["verdict"]), gate=data.get("gate"), reason=_reason(data))
    phase = Phase.PASSED if data["verdict"] == "PASS" else Phase.FAILED
    return replace(state, phase=phase, records=(*before, last), reason=_reason(data), message=_message(data))
