"""The fake meter: counters that grow with the virtual time, as a route and a behaviour make them. Deterministic."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from math import inf
from typing import Any

from sluicegate.domain.evidence import (
    SCORE_BINS,
    SEGMENT_BUCKETS,
    ArmCounters,
    GatewayCounters,
    LabelCounters,
    PairCounters,
    Reading,
    Segment,
)
from sluicegate.domain.route import BUCKETS, Route
from sluicegate.ports.clock import Clock
from sluicegate.ports.meter import LabelWindow
from sluicegate.ports.router import Router


@dataclass
class Behaviour:
    """How a version serves: shares of its requests, and means of one request."""

    slow: float = 0.0
    errors: float = 0.0
    score: float = 0.3
    decisions: float = 0.2
    value: float = 1.0
    busy: float = 0.002
    """Seconds."""
    cpu: float = 0.001
    """Seconds."""
    memory: float = 100e6
    """Bytes."""
    loss: float = 0.15
    """Of an answer whose outcome is known."""


@dataclass
class _Served:
    requests: float = 0.0
    slow: float = 0.0
    errors: float = 0.0
    score: float = 0.0
    decisions: float = 0.0
    value: float = 0.0
    busy: float = 0.0
    cpu: float = 0.0


SHARES = ("slow", "errors", "score", "decisions", "value", "busy", "cpu")


@dataclass(frozen=True)
class _Asked:
    """Answers so far at one time."""

    champion: float
    candidate: float
    pairs: float

    def since(self, before: "_Asked") -> "_Asked":
        return _Asked(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


@dataclass
class SyntheticMeter:
    """Implements the Meter port. Between two readings time x rate requests are split as the router has it."""

    clock: Clock
    router: Router
    rate: float = 200.0
    """Requests a second of all users."""
    bound_ms: str = "25"
    champion: Behaviour = field(default_factory=Behaviour)
    candidate: Behaviour = field(default_factory=Behaviour)
    gone: str = ""
    """When set, nothing can be read, for this reason."""
    segments: Mapping[str, float] = field(default_factory=dict)
    """ "field=value" -> share of all requests."""
    label_delay: float = inf
    """Seconds after which the outcome of an answer is known; infinite: never."""
    buckets: int = BUCKETS
    """Of users, over which everything is counted."""

    def __post_init__(self) -> None:
        self._at = self.clock.now()
        self._begun = self._at
        self._arms = {"champion": _Served(), "candidate": _Served(), "mirror": _Served()}
        self._pairs = 0.0
        self._history: list[tuple[float, _Asked]] = [(self._begun, _Asked(0.0, 0.0, 0.0))]

    def read(self, route: Route, *, since: float, labels: LabelWindow | None = None) -> Reading:
        self.serve(route.model)
        if self.gone:
            return Reading(self._at, missing=(self.gone,))
        roles = (("champion", self.champion), ("candidate", self.candidate), ("mirror", self.candidate))
        champion, candidate, mirror = (self._arm(self._arms[name], how) for name, how in roles)
        known = None if labels is None else self._labelled(labels)
        return Reading(self._at, champion, candidate, self._paired(), self._gateway(), mirror=mirror, labels=known)

    def serve(self, model: str) -> None:
        """Answer what was asked since the last time, as the router has it now. A clock that was set back serves nothing."""
        now = self.clock.now()
        amount, self._at = max(0.0, now - self._at) * self.rate, now
        live = self.router.read(model)
        weight, mirror = (live.weight, live.mirror) if live is not None else (0, 0)
        self._answer("champion", self.champion, amount * (100 - weight) / 100)
        self._answer("candidate", self.candidate, amount * weight / 100)
        self._answer("mirror", self.candidate, amount * mirror / 100)
        self._pairs += amount * (100 - weight) / 100 * mirror / 100
        asked = _Asked(self._arms["champion"].requests, self._arms["candidate"].requests, self._pairs)
        self._history.append((now, asked))

    def _answer(self, name: str, how: Behaviour, amount: float) -> None:
        arm = self._arms[name]
        arm.requests += amount
        for share in SHARES:
            setattr(arm, share, getattr(arm, share) + amount * getattr(how, share))

    def _arm(self, served: _Served, how: Behaviour) -> ArmCounters:
        zero, spread, even = (0,) * self.buckets, self._spread, self._even
        return ArmCounters(
            started_at=self._begun,
            requests=spread(served.requests),
            errors=spread(served.errors) if served.errors >= 1 else zero,
            decisions=spread(served.decisions),
            score_sum=even(served.score),
            score_square_sum=even(served.score * 0.35),
            slow={self.bound_ms: spread(served.slow)},
            score_histogram=_histogram(served.requests),
            value_sum=even(served.value),
            value_square_sum=even(served.value * how.value * 1.1),
            busy_sum=even(served.busy),
            cpu_sum=even(served.cpu),
            segments={name: self._segment(served, share) for name, share in self.segments.items()},
            cpu_seconds=served.cpu,
            memory_bytes=how.memory,
        )

    def _segment(self, served: _Served, share: float) -> Segment:
        requests, errors, decisions, slow = (
            _spread(count * share, SEGMENT_BUCKETS) for count in (served.requests, served.errors, served.decisions, served.slow)
        )
        return Segment(requests, errors, decisions, {self.bound_ms: slow})

    def _labelled(self, window: LabelWindow) -> LabelCounters:
        """Outcomes known now: those of the answers that are old enough."""
        begun = self._asked_at(window.since)
        known = self._asked_at(self._at - self.label_delay).since(begun)
        due = self._asked_at(self._at - window.gate.within).since(begun)
        losses = (self.champion.loss, self.candidate.loss, self.candidate.loss - self.champion.loss)
        names = (("champion", "champion_loss"), ("candidate", "candidate_loss"), ("pairs", "difference"))
        rows: dict[str, Any] = {}
        for (count, total), amount, loss in zip(names, astuple(known), losses, strict=True):
            rows |= dict(zip((count, f"{total}_sum", f"{total}_square_sum"), self._losses(amount, loss), strict=True))
        newest = self._at if known.champion + known.candidate > 0 else None
        return LabelCounters(self._begun, **rows, due=max(0, int(due.champion + due.candidate)), newest=newest)

    def _asked_at(self, moment: float) -> _Asked:
        place = bisect_right(self._history, moment, key=lambda entry: entry[0])
        return self._history[max(0, place - 1)][1]

    def _paired(self) -> PairCounters:
        gap = self.candidate.score - self.champion.score
        spread, even = self._spread, self._even
        pairs = spread(self._pairs)
        return PairCounters(
            started_at=self._begun,
            pairs=pairs,
            difference_sum=tuple(n * gap for n in pairs),
            difference_square_sum=tuple(n * (gap * gap + 1e-4) for n in pairs),
            candidate_score_sum=even(self._pairs * self.candidate.score),
            candidate_score_square_sum=even(self._pairs * self.candidate.score * 0.35),
            candidate_decisions=spread(self._pairs * self.candidate.decisions),
            champion_decisions=spread(self._pairs * self.champion.decisions),
            flips_on=spread(self._pairs * max(0.0, self.candidate.decisions - self.champion.decisions)),
            flips_off=spread(self._pairs * max(0.0, self.champion.decisions - self.candidate.decisions)),
            champion_histogram=_histogram(self._pairs),
            candidate_histogram=_histogram(self._pairs),
        )

    def _gateway(self) -> GatewayCounters:
        champion, candidate = self._arms["champion"], self._arms["candidate"]
        return GatewayCounters(
            self._begun, int(champion.requests), int(champion.errors), int(candidate.requests), int(candidate.errors)
        )

    def _losses(self, amount: float, loss: float) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
        """Count, sum and sum of squares of the losses of so many answers."""
        counts = self._spread(max(0.0, amount))
        return counts, tuple(n * loss for n in counts), tuple(n * (loss * loss + 0.01) for n in counts)

    def _spread(self, amount: float) -> tuple[int, ...]:
        """A count over all buckets."""
        return _spread(amount, self.buckets)

    def _even(self, amount: float) -> tuple[float, ...]:
        """A sum over all buckets."""
        return (amount / self.buckets,) * self.buckets


def _spread(amount: float, buckets: int) -> tuple[int, ...]:
    """A count, as evenly as whole numbers allow."""
    each, rest = divmod(int(amount), buckets)
    return (each + 1,) * rest + (each,) * (buckets - rest)


def _histogram(amount: float) -> tuple[int, ...]:
    counts = [0] * SCORE_BINS
    counts[int(0.3 * SCORE_BINS)] = int(amount)
    return tuple(counts)
