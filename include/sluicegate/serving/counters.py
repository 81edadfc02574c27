"""Evidence of one version in one role, counted per user-hash bucket: a few list increments a request.

`Counters.to_dict` has exactly the fields of `domain.evidence.ArmCounters`. Numbers for Prometheus stand beside them.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.domain.route import BUCKETS
from sluicegate.serving.segments import Segments

EVIDENCE_FILE = "evidence.json"
"""Beside the prediction log: the counters, written by a thread of its own, since a saturated loop does not answer /evidence in time."""
LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the latency histogram for Prometheus, seconds."""


class Counters:
    """Counts that only grow.

    Parameters
    ----------
    started_at : seconds since the epoch.
    slow_bounds_ms : bounds against which slow requests are counted.
    score_range : range of the score histogram; what is outside falls in the outer bins.
    segments : request fields whose values are counted apart.
    valued : whether the model tells what its answers are worth.
    """

    def __init__(
        self,
        started_at: float,
        slow_bounds_ms: Sequence[float],
        score_range: tuple[float, float],
        segments: Sequence[str] = (),
        *,
        valued: bool = False,
    ) -> None:
        self._started_at = started_at
        self._low = score_range[0]
        self._per_bin = SCORE_BINS / (score_range[1] - score_range[0])
        self._requests, self._errors, self._decisions = ([0] * BUCKETS for _ in range(3))
        self._score_sum, self._score_square_sum = ([0.0] * BUCKETS for _ in range(2))
        self._slow = [(bound / 1000, f"{bound:g}", [0] * BUCKETS) for bound in slow_bounds_ms]
        self._busy, self._cpu = ([0.0] * BUCKETS for _ in range(2))
        self._value = ([0.0] * BUCKETS, [0.0] * BUCKETS) if valued else None
        self._segments = Segments(segments, slow_bounds_ms) if segments else None
        self.histogram = [0] * SCORE_BINS
        self.latencies = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.latency_sum = 0.0

    def scored(self, bucket: int, score: float, decision: bool, latency: float) -> None:
        """One answer with a score; latency in seconds."""
        self._score_sum[bucket] += score
        self._score_square_sum[bucket] += score * score
        if decision:
            self._decisions[bucket] += 1
        place = int((score - self._low) * self._per_bin)
        self.histogram[0 if place < 0 else place if place < SCORE_BINS else SCORE_BINS - 1] += 1
        self._answered(bucket, latency)

    def failed(self, bucket: int, latency: float) -> None:
        """One request that the model could not answer."""
        self._errors[bucket] += 1
        self._answered(bucket, latency)

    def _answered(self, bucket: int, latency: float) -> None:
        self._requests[bucket] += 1
        for bound, _, counts in self._slow:
            if latency > bound:
                counts[bucket] += 1
        self.latencies[bisect_left(LATENCY_BOUNDS_S, latency)] += 1
        self.latency_sum += latency

    def spent(self, bucket: int, busy: float, cpu: float) -> None:
        """What one request took of the thread that answers: seconds that it was busy with it, and seconds of processor time."""
        self._busy[bucket] += busy
        self._cpu[bucket] += cpu

    def in_segments(self, bucket: int, row: Mapping[str, Any], latency: float, *, error: bool, decision: bool) -> None:
        """The same request again, for its segments."""
        if self._segments is not None:
            self._segments.answered(bucket, row, latency, error=error, decision=decision)

    def valued(self, bucket: int, value: float) -> None:
        """Business value of one answer."""
        if self._value is not None:
            sums, squares = self._value
            sums[bucket] += value
            squares[bucket] += value * value

    def value_unknown(self) -> None:
        """Tell no values any more: one is not known, so every sum would lack a part."""
        self._value = None

    @property
    def requests(self) -> int:
        return sum(self._requests)

    @property
    def errors(self) -> int:
        return sum(self._errors)

    @property
    def decisions(self) -> int:
        return sum(self._decisions)

    @property
    def busy(self) -> float:
        return sum(self._busy)

    @property
    def cpu(self) -> float:
        return sum(self._cpu)

    @property
    def score_sum(self) -> float:
        return sum(self._score_sum)

    def to_dict(self) -> dict[str, Any]:
        """The fields of ArmCounters, but for the process's own."""
        value, square = self._value if self._value is not None else ((), ())
        return {
            "started_at": self._started_at,
            "requests": self._requests,
            "errors": self._errors,
            "decisions": self._decisions,
            "score_sum": self._score_sum,
            "score_square_sum": self._score_square_sum,
            "slow": {key: counts for _, key, counts in self._slow},
            "score_histogram": self.histogram,
            "value_sum": value,
            "value_square_sum": square,
            "busy_sum": self._busy,
            "cpu_sum": self._cpu,
            "segments": {} if self._segments is None else self._segments.to_dict(),
        }
