"""A service in numbers: readings such as a meter would take them, for tests and simulations of the judge. Seeded, no clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.domain.evidence import (
    SCORE_BINS,
    SEGMENT_BUCKETS,
    ArmCounters,
    GatewayCounters,
    LabelCounters,
    PairCounters,
    Predicted,
    Reading,
    Segment,
)
from sluicegate.domain.route import BUCKETS
from sluicegate.domain.spec import StageSpec

Array = NDArray[np.float64]
Rate = Callable[[float], float]
"""A probability as a function of the seconds since the stage began."""


def constant(value: float) -> Rate:
    """The same probability at all times."""
    return lambda _: value


def never(_: float) -> float:
    """Probability zero."""
    return 0.0


@dataclass(frozen=True)
class Behaviour:
    """What one version does: probabilities over time and how it scores."""

    slow: Rate = never
    errors: Rate = never
    shift: float = 0.0
    """Added to every score."""
    noise: float = 0.0
    """Standard deviation of what this version adds to the common score of a request."""
    user_noise: float = 0.0
    """The same, but one draw a user: requests of one user move together."""
    user_errors: float = 0.0
    """Share of this version's users for whom every request fails at the error rate times 1 / user_errors; 0: all users alike."""


@dataclass
class Service:
    """Users who ask, a champion and a candidate that answer. One instance is one stage, one stream of random numbers."""

    seed: int
    champion: Behaviour = field(default_factory=Behaviour)
    candidate: Behaviour = field(default_factory=Behaviour)
    rate: float = 150.0
    """Requests a second."""
    users: int = 3000
    threshold: float = 0.5
    bound: str = "25"
    mirror_while_split: int = 50
    shock: Rate = never
    """Probability that a request is slow whoever answers it."""

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._activity = self._random.gamma(1.5, size=self.users)
        self._activity /= self._activity.sum()
        self._bucket = self._random.integers(BUCKETS, size=self.users)
        self._position = self._random.random(self.users)
        self._taste = self._random.normal(size=(2, self.users))
        self._unlucky = self._random.random((2, self.users))
        self._arms = [_Arm(), _Arm(), _Arm()]
        self._pairs = np.zeros((7, BUCKETS))
        self._pair_bins = np.zeros((2, SCORE_BINS))

    def readings(self, stage: StageSpec, seconds: float, every: float = 0.5, start: float = 1000.0) -> Iterator[Reading]:
        """The baseline at `start`, then one reading every `every` seconds."""
        for look in range(round(seconds / every) + 1):
            if look:
                self._serve(stage, look * every, every)
            yield self._reading(start + look * every)

    def predicted(self, rows: int = 20_000) -> Predicted:
        """What the offline comparison would have predicted, on users of the same kind."""
        user = self._random.choice(self.users, size=rows, p=self._activity)
        champion, candidate = self.scores(user)
        return predict(champion, candidate, self.threshold)

    def scores(self, user: NDArray[np.int64]) -> tuple[Array, Array]:
        """Champion's and candidate's score of one request a user given."""
        common = self._random.beta(1.5, 3.5, size=len(user))
        return self._scored(common, user, 0), self._scored(common, user, 1)

    def _scored(self, common: Array, user: NDArray[np.int64], arm: int) -> Array:
        how = (self.champion, self.candidate)[arm]
        own = how.noise * self._random.normal(size=len(user)) + how.user_noise * self._taste[arm, user]
        return np.asarray(np.clip(common + how.shift + own, 0, 1))

    def _serve(self, stage: StageSpec, at: float, every: float) -> None:
        user = self._random.choice(self.users, size=self._random.poisson(self.rate * every), p=self._activity)
        champion, candidate = self.scores(user)
        mine = self._position[user] < (stage.weight or 0) / 100
        shocked = self.shock(at)
        for arm, chosen in ((0, ~mine), (1, mine)):
            self._answer(arm, user[chosen], (champion, candidate)[arm][chosen], at, shocked)
        copied = ~mine & (self._random.random(len(user)) < (stage.mirror or self.mirror_while_split) / 100)
        if stage.weight != 100:
            self._answer(1, user[copied], candidate[copied], at, shocked, into=2)
            self._pair(user[copied], champion[copied], candidate[copied])

    def _answer(self, arm: int, user: NDArray[np.int64], score: Array, at: float, shock: float, into: int | None = None) -> None:
        how = (self.champion, self.candidate)[arm]
        chance = np.full(len(user), how.errors(at))
        if how.user_errors:
            chance = np.where(self._unlucky[arm, user] < how.user_errors, chance / how.user_errors, 0.0)
        failed = self._random.random(len(user)) < chance
        slow = self._random.random(len(user)) < 1 - (1 - how.slow(at)) * (1 - shock)
        self._arms[arm if into is None else into].add(self._bucket[user], score, failed, slow, self.threshold)

    def _pair(self, user: NDArray[np.int64], champion: Array, candidate: Array) -> None:
        off, on = champion >= self.threshold, candidate >= self.threshold
        gap = candidate - champion
        rows = (np.ones(len(user)), gap, gap**2, candidate, candidate**2, on & ~off, off & ~on)
        self._pairs += [np.bincount(self._bucket[user], row.astype(float), BUCKETS) for row in rows]
        self._decided = getattr(self, "_decided", np.zeros((2, BUCKETS)))
        self._decided += [np.bincount(self._bucket[user], row.astype(float), BUCKETS) for row in (on, off)]
        self._pair_bins += [histogram(champion), histogram(candidate)]

    def _reading(self, at: float) -> Reading:
        champion, candidate, mirrored = self._arms
        return Reading(
            taken_at=at,
            champion=champion.counters(self.bound),
            candidate=candidate.counters(self.bound),
            pairs=self._pair_counters(),
            gateway=GatewayCounters(0.0, *champion.gateway(), *candidate.gateway()),
            mirror=mirrored.counters(self.bound),
        )

    def _pair_counters(self) -> PairCounters:
        count, gap, square, score, score_square, on, off = self._pairs
        decided = getattr(self, "_decided", np.zeros((2, BUCKETS)))
        return PairCounters(
            0.0,
            _whole(count),
            tuple(gap.tolist()),
            tuple(square.tolist()),
            tuple(score.tolist()),
            tuple(score_square.tolist()),
            _whole(decided[0]),
            _whole(decided[1]),
            _whole(on),
            _whole(off),
            _whole(self._pair_bins[0]),
            _whole(self._pair_bins[1]),
        )


class _Arm:
    """Growing counters of one version in one role."""

    def __init__(self) -> None:
        self._rows = np.zeros((6, BUCKETS))
        self._bins = np.zeros(SCORE_BINS)

    def add(
        self, bucket: NDArray[np.int64], score: Array, failed: NDArray[np.bool_], slow: NDArray[np.bool_], threshold: float
    ) -> None:
        fine = ~failed
        rows = (np.ones(len(score)), failed, fine & (score >= threshold), fine * score, fine * score**2, slow)
        self._rows += [np.bincount(bucket, row.astype(float), BUCKETS) for row in rows]
        self._bins += histogram(score[fine])

    def counters(self, bound: str) -> ArmCounters:
        requests, errors, decisions, total, square, slow = self._rows
        sums = tuple(total.tolist()), tuple(square.tolist())
        return ArmCounters(
            0.0, _whole(requests), _whole(errors), _whole(decisions), *sums, {bound: _whole(slow)}, _whole(self._bins)
        )

    def gateway(self) -> tuple[int, int]:
        return int(self._rows[0].sum()), int(self._rows[1].sum())


SEGMENTS = ("carrier=AA", "carrier=HA", "carrier=UA")
"""Of `enriched`: a half, a third and a quarter of the requests."""


def enriched(reading: Reading) -> Reading:
    """The reading with value, load, memory, segments and labels as well, alike for both arms and growing like their requests."""
    arms: dict[str, Any] = {
        name: _rich(arm) for name in ("champion", "candidate", "mirror") if (arm := getattr(reading, name)) is not None
    }
    known = (() if (arm := getattr(reading, name)) is None else arm.requests for name in ("champion", "candidate"))
    pairs = () if reading.pairs is None else reading.pairs.pairs
    counted = [part or (0,) * BUCKETS for part in (*known, pairs)]
    losses = [
        (part, tuple(n * mean for n in part), tuple(n * (mean**2 + 0.01) for n in part))
        for part, mean in zip(counted, (0.2, 0.2, 0.0), strict=True)
    ]
    due = sum(counted[0]) + sum(counted[1])
    return replace(reading, **arms, labels=LabelCounters(0.0, *losses[0], *losses[1], *losses[2], due=due))


def _rich(arm: ArmCounters) -> ArmCounters:
    asked = np.array(arm.requests)
    uneven = asked * np.where(np.arange(len(asked)) % 2, 0.9, 1.1)
    segments = {}
    for place, name in enumerate(SEGMENTS):
        part = asked.reshape(-1, SEGMENT_BUCKETS).sum(axis=0) // (place + 2)
        slow = {bound: _whole(part // 50) for bound in arm.slow}
        segments[name] = Segment(_whole(part), _whole(part // 100), _whole(part // 5), slow)
    sums = {"value_sum": 1.3, "value_square_sum": 1.9, "busy_sum": 0.004, "cpu_sum": 0.003}
    grown: dict[str, Any] = {name: tuple((uneven * unit).tolist()) for name, unit in sums.items()}
    return replace(arm, **grown, segments=segments, cpu_seconds=float(asked.sum()) * 0.004, memory_bytes=2e8)


def histogram(score: Array) -> Array:
    """Counts in SCORE_BINS equal bins of 0..1; outside falls in the outer bins."""
    place = np.clip((score * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
    return np.bincount(place, minlength=SCORE_BINS).astype(float)


def predict(champion: Array, candidate: Array, threshold: float) -> Predicted:
    """The prediction that a comparison of these scores (0..1) of the same rows makes."""
    rows = len(champion)
    place = np.clip((np.stack([champion, candidate]) * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
    count = np.maximum(np.bincount(place[0], minlength=SCORE_BINS), 1)
    off, on = champion >= threshold, candidate >= threshold
    gap, flip = candidate - champion, on.astype(float) - off
    return Predicted(
        rows=rows,
        mean_score=float(candidate.mean()),
        decision_rate=float(on.mean()),
        histogram=tuple((histogram(candidate) / rows).tolist()),
        champion_mean_score=float(champion.mean()),
        champion_decision_rate=float(off.mean()),
        champion_histogram=tuple((histogram(champion) / rows).tolist()),
        mean_difference=float(gap.mean()),
        flips_on=float((on & ~off).mean()),
        flips_off=float((off & ~on).mean()),
        difference_by_champion_bin=tuple((np.bincount(place[0], gap, SCORE_BINS) / count).tolist()),
        decision_difference_by_champion_bin=tuple((np.bincount(place[0], flip, SCORE_BINS) / count).tolist()),
        joint_histogram=tuple((np.bincount(place[0] * SCORE_BINS + place[1], minlength=SCORE_BINS**2) / rows).tolist()),
    )


def _whole(values: NDArray[Any]) -> tuple[int, ...]:
    return tuple(values.astype(np.int64).tolist())
