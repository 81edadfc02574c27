"""Pairs: what champion and candidate said to the same request, joined from their prediction logs by request id.

Everything follows from the logs and `since`, so a fresh instance comes to the same counts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluicegate.adapters.local_meter.tail import Line, VersionLog
from sluicegate.domain.evidence import SCORE_BINS, PairCounters
from sluicegate.domain.route import BUCKETS, bucket

APART_S = 10.0
"""The copy of a request reaches the candidate within this time, or the two are no pair."""
MOST_WAITING = 200_000
"""Answers that wait for their other half, per version; the oldest are given up beyond that (about 60 MB)."""


class Pairs:
    """The pairs of one champion and one candidate, of requests received since a time (seconds since the epoch)."""

    def __init__(self, champion: Path, candidate: Path, since: float, score_range: tuple[float, float]) -> None:
        self._champion, self._candidate = VersionLog(champion, since), VersionLog(candidate, since)
        self._since = since
        self._answers: dict[str, Line] = {}
        self._copies: dict[str, Line] = {}
        self._counts = _Counts(since, score_range)

    def read(self) -> PairCounters:
        """Take in what was logged meanwhile and count; OSError when a log cannot be read."""
        self._champion.look()
        self._candidate.look()
        while not (self._champion.drained and self._candidate.drained):
            if self._candidate.drained or (not self._champion.drained and self._champion.progress <= self._candidate.progress):
                self._take(self._champion, "answer", self._answers, self._copies, self._pair)
            else:
                self._take(self._candidate, "mirror", self._copies, self._answers, lambda mine, other: self._pair(other, mine))
        _forget(self._answers, self._candidate.progress - APART_S)
        _forget(self._copies, self._champion.progress - APART_S)
        return self._counts.frozen()

    def _take(
        self, log: VersionLog, role: str, mine: dict[str, Line], others: dict[str, Line], pair: Callable[[Line, Line], None]
    ) -> None:
        for line in log.lines():
            if line.role != role or line.received_at < self._since:
                continue
            other = others.get(line.request_id)
            if other is not None and abs(other.received_at - line.received_at) <= APART_S:
                del others[line.request_id]
                pair(line, other)
            else:
                mine.setdefault(line.request_id, line)

    def _pair(self, champion: Line, candidate: Line) -> None:
        self._counts.add(champion, candidate)


def _forget(waiting: dict[str, Line], before: float) -> None:
    """Drop what can find no other half any more; the oldest stand first."""
    while waiting:
        oldest = next(iter(waiting))
        if waiting[oldest].received_at >= before and len(waiting) <= MOST_WAITING:
            return
        del waiting[oldest]


class _Counts:
    """PairCounters in the making."""

    def __init__(self, since: float, score_range: tuple[float, float]) -> None:
        self._since = since
        self._low, high = score_range
        self._per_bin = SCORE_BINS / (high - self._low)
        self._whole = {name: [0] * BUCKETS for name in _WHOLE}
        self._sums = {name: [0.0] * BUCKETS for name in _SUMS}
        self._bins = {name: [0] * SCORE_BINS for name in _BINS}

    def add(self, champion: Line, candidate: Line) -> None:
        place = bucket(champion.user)
        old, new = champion.score, candidate.score
        flags = (True, candidate.decision, champion.decision)
        flips = (candidate.decision and not champion.decision, champion.decision and not candidate.decision)
        for name, flag in zip(_WHOLE, (*flags, *flips), strict=True):
            self._whole[name][place] += flag
        for name, value in zip(_SUMS, (new - old, (new - old) ** 2, new, new * new), strict=True):
            self._sums[name][place] += value
        for name, score in zip(_BINS, (old, new), strict=True):
            self._bins[name][min(SCORE_BINS - 1, max(0, int((score - self._low) * self._per_bin)))] += 1

    def frozen(self) -> PairCounters:
        found: Any = {name: tuple(values) for name, values in (self._whole | self._sums | self._bins).items()}
        # started_at is none: what the logs hold is counted again by every fresh meter and so is never reset
        return PairCounters(started_at=0.0, **found)


_WHOLE = ("pairs", "candidate_decisions", "champion_decisions", "flips_on", "flips_off")
_SUMS = ("difference_sum", "difference_square_sum", "candidate_score_sum", "candidate_score_square_sum")
_BINS = ("champion_histogram", "candidate_histogram")
