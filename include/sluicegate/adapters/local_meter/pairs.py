"""Pairs: what champion and candidate said to the same request, joined by its id and counted per user-hash bucket."""

from pathlib import Path
from typing import Any

from sluicegate.adapters.local_meter.logs import Tail
from sluicegate.domain.evidence import SCORE_BINS, PairCounters
from sluicegate.domain.route import BUCKETS, bucket

MOST_WAITING = 200_000
"""Answers that may wait for their other half; the oldest are forgotten first (their copy was dropped)."""
COUNTS = ("pairs", "candidate_decisions", "champion_decisions", "flips_on", "flips_off")
SUMS = ("difference_sum", "difference_square_sum", "candidate_score_sum", "candidate_score_square_sum")


class Pairs:
    """Grows with every call of `read`; a fresh one over the same logs counts the same."""

    def __init__(self, champion: Path, candidate: Path, since: float, score_range: tuple[float, float]) -> None:
        self._since, self._range = since, score_range
        self._tails = {"answer": Tail(champion, since), "mirror": Tail(candidate, since)}
        self._waiting: dict[str, dict[str, tuple[float, bool]]] = {"answer": {}, "mirror": {}}
        self._by_bucket: dict[str, list[Any]] = {name: [0] * BUCKETS for name in COUNTS} | {
            name: [0.0] * BUCKETS for name in SUMS
        }
        self._histograms = {"answer": [0] * SCORE_BINS, "mirror": [0] * SCORE_BINS}

    def read(self) -> PairCounters:
        """Fold in what was logged since the last call."""
        for role, other in (("answer", "mirror"), ("mirror", "answer")):
            for entry in self._tails[role].new():
                if entry["role"] == role:
                    self._meet(role, other, entry)
        found: Any = {name: tuple(values) for name, values in self._by_bucket.items()}
        champion, candidate = (tuple(self._histograms[role]) for role in ("answer", "mirror"))
        return PairCounters(started_at=self._since, champion_histogram=champion, candidate_histogram=candidate, **found)

    def _meet(self, role: str, other: str, entry: dict[str, Any]) -> None:
        said = (float(entry["score"]), bool(entry["decision"]))
        partner = self._waiting[other].pop(entry["request_id"], None)
        if partner is None:
            waiting = self._waiting[role]
            waiting[entry["request_id"]] = said
            if len(waiting) > MOST_WAITING:
                del waiting[next(iter(waiting))]
            return
        champion, candidate = (said, partner) if role == "answer" else (partner, said)
        self._count(bucket(str(entry["user"])), champion, candidate)

    def _count(self, place: int, champion: tuple[float, bool], candidate: tuple[float, bool]) -> None:
        gap = candidate[0] - champion[0]
        added = {
            "pairs": 1,
            "difference_sum": gap,
            "difference_square_sum": gap * gap,
            "candidate_score_sum": candidate[0],
            "candidate_score_square_sum": candidate[0] * candidate[0],
            "candidate_decisions": candidate[1],
            "champion_decisions": champion[1],
            "flips_on": candidate[1] and not champion[1],
            "flips_off": champion[1] and not candidate[1],
        }
        for name, amount in added.items():
            self._by_bucket[name][place] += amount
        self._histograms["answer"][self._bin(champion[0])] += 1
        self._histograms["mirror"][self._bin(candidate[0])] += 1

    def _bin(self, score: float) -> int:
        low, high = self._range
        return min(SCORE_BINS - 1, max(0, int((score - low) / (high - low) * SCORE_BINS)))
