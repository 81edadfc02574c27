"""Pairing: which answers of champion and candidate belong to the same request, and what the two said.

The halves may come in any order; a half that waits too long for its other is given up.
"""

from dataclasses import dataclass
from typing import Any

from sluicegate.domain.evidence import SCORE_BINS, PairCounters
from sluicegate.domain.route import BUCKETS, bucket

APART_S = 10.0
"""The copy of a request reaches the candidate within this time, or the two are no pair."""
MOST_WAITING = 200_000
"""Answers that wait for their other half, per version; the oldest are given up beyond that (about 60 MB)."""


@dataclass(frozen=True)
class Line:
    """What a pair needs of one logged answer."""

    request_id: str
    received_at: float
    role: str
    user: str
    score: float
    decision: bool


class Pairing:
    """The pairs of one champion and one candidate, of requests received since a time (seconds since the epoch)."""

    def __init__(self, since: float, score_range: tuple[float, float]) -> None:
        self._since = since
        self._answers: dict[str, Line] = {}
        self._copies: dict[str, Line] = {}
        self._counts = _Counts(score_range)

    def champion_said(self, line: Line) -> None:
        """One line of the champion's log; only its answers to users count."""
        if line.role == "answer" and line.received_at >= self._since:
            copy = _other(line, self._answers, self._copies)
            if copy is not None:
                self._counts.add(line, copy)

    def candidate_said(self, line: Line) -> None:
        """One line of the candidate's log; only what it said to copies counts."""
        if line.role == "mirror" and line.received_at >= self._since:
            answer = _other(line, self._copies, self._answers)
            if answer is not None:
                self._counts.add(answer, line)

    def forget(self, champion_read: float, candidate_read: float) -> None:
        """Give up what can find no other half any more, now that both logs are read up to these times."""
        _forget(self._answers, candidate_read - APART_S)
        _forget(self._copies, champion_read - APART_S)

    def counted(self) -> PairCounters:
        """The pairs so far."""
        return self._counts.frozen()


def _other(line: Line, mine: dict[str, Line], others: dict[str, Line]) -> Line | None:
    """The other half, which then waits no longer; without one this half begins to wait."""
    other = others.get(line.request_id)
    if other is not None and abs(other.received_at - line.received_at) <= APART_S:
        return others.pop(line.request_id)
    mine.setdefault(line.request_id, line)
    return None


def _forget(waiting: dict[str, Line], before: float) -> None:
    """Drop what is older; the oldest stand first."""
    while waiting:
        oldest = next(iter(waiting))
        if waiting[oldest].received_at >= before and len(waiting) <= MOST_WAITING:
            return
        del waiting[oldest]


class _Counts:
    """PairCounters in the making."""

    def __init__(self, score_range: tuple[float, float]) -> None:
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
