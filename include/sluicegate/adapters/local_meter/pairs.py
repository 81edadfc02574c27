"""Pairs: what champion and candidate said to the same request, joined from their prediction logs by request id.

Everything follows from the logs and `since`, so a fresh instance comes to the same counts.
"""

from pathlib import Path

from sluicegate.adapters.local_meter.tail import VersionLog
from sluicegate.domain.evidence import PairCounters
from sluicegate.domain.pairing import Pairing


class Pairs:
    """The pairs of one champion and one candidate, of requests received since a time (seconds since the epoch)."""

    def __init__(self, champion: Path, candidate: Path, since: float, score_range: tuple[float, float]) -> None:
        self._champion, self._candidate = VersionLog(champion, since), VersionLog(candidate, since)
        self._pairing = Pairing(since, score_range)

    def read(self) -> PairCounters:
        """Take in what was logged meanwhile and count; OSError when a log cannot be read."""
        champion, candidate = self._champion, self._candidate
        champion.look()
        candidate.look()
        while not (champion.drained and candidate.drained):
            if candidate.drained or (not champion.drained and champion.progress <= candidate.progress):
                for line in champion.lines():
                    self._pairing.champion_said(line)
            else:
                for line in candidate.lines():
                    self._pairing.candidate_said(line)
        self._pairing.forget(champion.progress, candidate.progress)
        return self._pairing.counted()
