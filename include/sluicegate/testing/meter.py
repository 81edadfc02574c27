"""The fake meter: counters that grow with the virtual time, as a route and a behaviour make them. Deterministic."""

from dataclasses import dataclass, field

from sluicegate.domain.evidence import SCORE_BINS, ArmCounters, GatewayCounters, PairCounters, Reading
from sluicegate.domain.route import BUCKETS, Route
from sluicegate.ports.clock import Clock
from sluicegate.ports.router import Router


@dataclass
class Behaviour:
    """How a version serves: shares of its requests."""

    slow: float = 0.0
    errors: float = 0.0
    score: float = 0.3
    decisions: float = 0.2


@dataclass
class _Served:
    requests: float = 0.0
    slow: float = 0.0
    errors: float = 0.0
    score: float = 0.0
    decisions: float = 0.0


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

    def __post_init__(self) -> None:
        self._at = self.clock.now()
        self._begun = self._at
        self._arms = {"champion": _Served(), "candidate": _Served(), "mirror": _Served()}
        self._pairs = 0.0

    def read(self, route: Route, *, since: float) -> Reading:
        self._serve(route)
        if self.gone:
            return Reading(self._at, missing=(self.gone,))
        champion, candidate, mirror = (self._arm(self._arms[name]) for name in ("champion", "candidate", "mirror"))
        return Reading(self._at, champion, candidate, self._paired(), self._gateway(), mirror=mirror)

    def _serve(self, route: Route) -> None:
        now = self.clock.now()
        amount, self._at = (now - self._at) * self.rate, now
        live = self.router.read(route.model)
        weight, mirror = (live.weight, live.mirror) if live is not None else (0, 0)
        self._answer("champion", self.champion, amount * (100 - weight) / 100)
        self._answer("candidate", self.candidate, amount * weight / 100)
        self._answer("mirror", self.candidate, amount * mirror / 100)
        self._pairs += amount * (100 - weight) / 100 * mirror / 100

    def _answer(self, name: str, how: Behaviour, amount: float) -> None:
        arm = self._arms[name]
        arm.requests += amount
        for share in ("slow", "errors", "score", "decisions"):
            setattr(arm, share, getattr(arm, share) + amount * getattr(how, share))

    def _arm(self, served: _Served) -> ArmCounters:
        zero = (0,) * BUCKETS
        return ArmCounters(
            started_at=self._begun,
            requests=_spread(served.requests),
            errors=_spread(served.errors) if served.errors >= 1 else zero,
            decisions=_spread(served.decisions),
            score_sum=tuple(served.score / BUCKETS for _ in range(BUCKETS)),
            score_square_sum=tuple(served.score * 0.35 / BUCKETS for _ in range(BUCKETS)),
            slow={self.bound_ms: _spread(served.slow)},
            score_histogram=_histogram(served.requests),
        )

    def _paired(self) -> PairCounters:
        gap = self.candidate.score - self.champion.score
        each = self._pairs / BUCKETS
        pairs = _spread(self._pairs)
        return PairCounters(
            started_at=self._begun,
            pairs=pairs,
            difference_sum=tuple(n * gap for n in pairs),
            difference_square_sum=tuple(n * (gap * gap + 1e-4) for n in pairs),
            candidate_score_sum=tuple(each * self.candidate.score for _ in range(BUCKETS)),
            candidate_score_square_sum=tuple(each * self.candidate.score * 0.35 for _ in range(BUCKETS)),
            candidate_decisions=_spread(self._pairs * self.candidate.decisions),
            champion_decisions=_spread(self._pairs * self.champion.decisions),
            flips_on=_spread(self._pairs * max(0.0, self.candidate.decisions - self.champion.decisions)),
            flips_off=_spread(self._pairs * max(0.0, self.champion.decisions - self.candidate.decisions)),
            champion_histogram=_histogram(self._pairs),
            candidate_histogram=_histogram(self._pairs),
        )

    def _gateway(self) -> GatewayCounters:
        champion, candidate = self._arms["champion"], self._arms["candidate"]
        return GatewayCounters(
            self._begun, int(champion.requests), int(champion.errors), int(candidate.requests), int(candidate.errors)
        )


def _spread(amount: float) -> tuple[int, ...]:
    """A count over all buckets, as evenly as whole numbers allow."""
    each, rest = divmod(int(amount), BUCKETS)
    return tuple(each + (place < rest) for place in range(BUCKETS))


def _histogram(amount: float) -> tuple[int, ...]:
    counts = [0] * SCORE_BINS
    counts[int(0.3 * SCORE_BINS)] = int(amount)
    return tuple(counts)
