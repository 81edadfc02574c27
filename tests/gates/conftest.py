"""Builders of small readings: one number per version, spread over the first users' buckets, so that tests read as tables."""

from collections.abc import Callable
from typing import Any

import pytest

from sluicegate.domain.evidence import SCORE_BINS, ArmCounters, GatewayCounters, PairCounters, Predicted, Reading
from sluicegate.domain.route import BUCKETS
from sluicegate.domain.spec import Gate, Gates, Release, StageSpec
from sluicegate.gates import Case, add, open_case

MIRROR = StageSpec(mirror=50, bake=5, min_requests=100)
STAGES = (MIRROR, *(StageSpec(weight=w, bake=5, min_requests=50) for w in (5, 25, 50, 100)))
GATES = Gates(p95_ms=25, error_rate=Gate(margin=0.01), score=Gate(margin=0.03), decision_rate=Gate(margin=0.05))
RELEASE = Release(stages=STAGES, gates=GATES)


def spread(count: float) -> tuple[int, ...]:
    """A count over all buckets, as evenly as whole numbers allow."""
    each, rest = divmod(int(count), BUCKETS)
    return tuple(each + (place < rest) for place in range(BUCKETS))


def arm(
    requests: int = 0, errors: int = 0, slow: Any = 0, score: float = 0.3, decisions: float = 0.2, **more: Any
) -> ArmCounters:
    """An arm that answered so many requests since its start; events fall one in a bucket."""
    count = spread(requests)
    histogram = [0] * SCORE_BINS
    histogram[6] = requests
    fields: dict[str, Any] = {
        "started_at": 0.0,
        "requests": count,
        "errors": spread(errors),
        "decisions": spread(requests * decisions),
        "score_sum": tuple(n * score for n in count),
        "score_square_sum": tuple(n * (score**2 + 0.04) for n in count),
        "slow": slow if isinstance(slow, dict) else {"25": spread(slow)},
        "score_histogram": tuple(histogram),
    }
    return ArmCounters(**(fields | more))


def pairs(count: int = 0, gap: float = 0.0, on: int = 0, off: int = 0, **more: Any) -> PairCounters:
    """Pairs in which the candidate scores `gap` higher; standard deviation of the gap 0.1."""
    each = spread(count)
    histogram = [0] * SCORE_BINS
    histogram[6] = count
    fields: dict[str, Any] = {
        "started_at": 0.0,
        "pairs": each,
        "difference_sum": tuple(n * gap for n in each),
        "difference_square_sum": tuple(n * (gap**2 + 0.01) for n in each),
        "candidate_score_sum": tuple(n * (0.32 + gap) for n in each),
        "candidate_score_square_sum": tuple(n * ((0.32 + gap) ** 2 + 0.04) for n in each),
        "candidate_decisions": spread(0.2 * count + on - off),
        "champion_decisions": spread(0.2 * count),
        "flips_on": spread(on),
        "flips_off": spread(off),
        "champion_histogram": tuple(histogram),
        "candidate_histogram": tuple(histogram),
    }
    return PairCounters(**(fields | more))


def predicted(gap: float | None = 0.0, **more: Any) -> Predicted:
    """A prediction that the candidate's scores exceed the champion's by `gap`; everything falls in one bin."""
    histogram = tuple(1.0 if place == 6 else 0.0 for place in range(SCORE_BINS))
    fields: dict[str, Any] = {
        "rows": 20_000,
        "mean_score": 0.32,
        "decision_rate": 0.2,
        "histogram": histogram,
        "champion_histogram": histogram,
        "mean_difference": gap,
        "flips_on": 0.0,
        "flips_off": 0.0,
    }
    return Predicted(**(fields | more))


class Builder:
    """Everything a test needs to state a case."""

    arm, pairs, predicted, spread = staticmethod(arm), staticmethod(pairs), staticmethod(predicted), staticmethod(spread)
    release, stages, mirror = RELEASE, STAGES, MIRROR

    def stage(self, weight: int | None, **more: Any) -> StageSpec:
        """The stage of this weight; None is the mirror."""
        found = next(s for s in STAGES if s.weight == weight)
        return found.model_copy(update=more)

    def reading(self, at: float, champion: Any = None, candidate: Any = None, **more: Any) -> Reading:
        """A reading whose gateway counted what the servers did."""
        h, c = champion or arm(), candidate or arm()
        gateway = GatewayCounters(0.0, sum(h.requests), sum(h.errors), sum(c.requests), sum(c.errors))
        fields: dict[str, Any] = {"champion": h, "candidate": c, "gateway": gateway, "pairs": pairs(), "mirror": arm()}
        return Reading(taken_at=at, **(fields | more))

    def opened(
        self, weight: int | None, prediction: Predicted | None = None, baseline: Reading | None = None, **more: Any
    ) -> Case:
        """A case at this weight with an empty baseline at second 0."""
        release = more.pop("release", RELEASE)
        start = baseline or self.reading(0.0)
        return open_case(release, self.stage(weight, **more), prediction or predicted(), start, (0.0, 1.0))

    def after(self, case: Case, looks: int, make: Callable[[int], Reading]) -> Case:
        """The case after readings make(1) .. make(looks)."""
        for look in range(1, looks + 1):
            case = add(case, make(look))
        return case

    def healthy(self, weight: int, seconds: int = 8, rate: int = 150, slow: float = 0.0) -> Callable[[int], Reading]:
        """One reading a second of two equal versions at this weight, mirrored by half of the champion's requests."""

        def make(second: int) -> Reading:
            mine = second * rate * weight // 100
            other = second * rate - mine
            return self.reading(
                float(second),
                arm(other, slow=int(other * slow)),
                arm(mine, slow=int(mine * slow)),
                pairs=pairs(other // 2),
                mirror=arm(other // 2),
            )

        return make


@pytest.fixture
def build() -> Builder:
    return Builder()
