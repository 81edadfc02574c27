"""What champion and candidate said to the same requests, since the stage began."""

from dataclasses import dataclass, field

import numpy as np

from sluicegate.gates import blocks, moments
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.looks import CANDIDATE_HISTOGRAM, CHAMPION_HISTOGRAM, DIFF, OFF, ON, PAIRS, Array
from sluicegate.gates.moments import Moments

FLIPS = 7
"""Row of the moments: decisions switched on less those switched off; the rows before it are those of the pairs' array."""
COLUMNS = ("weight", "score", "decision_rate")
"""Of the blocks in time."""


@dataclass(frozen=True, eq=False)
class Paired:
    """Evidence from pairs."""

    total: Array = field(default_factory=lambda: np.zeros((9, 1)))
    moments: Moments = field(default_factory=lambda: moments.of(np.zeros((1, 8, 1)))[0])
    in_time: Blocks = field(default_factory=Blocks)

    @property
    def count(self) -> float:
        return self.moments.requests

    def champion_histogram(self, bins: int) -> Array:
        """Counts of the champion's scores."""
        return self.total[CHAMPION_HISTOGRAM, :bins]

    def candidate_histogram(self, bins: int) -> Array:
        """Counts of the candidate's scores."""
        return self.total[CANDIDATE_HISTOGRAM, :bins]


def fold(paired: Paired, look: Array) -> Paired:
    """One more look, (9, buckets)."""
    total = paired.total + look
    sums = np.add.reduce(look[:CHAMPION_HISTOGRAM], axis=1)
    in_time = blocks.push(paired.in_time, np.array([sums[PAIRS], sums[DIFF], sums[ON] - sums[OFF]]))
    table = np.concatenate((total[:CHAMPION_HISTOGRAM], (total[ON] - total[OFF])[None]))
    return Paired(total, moments.of(table[None])[0], in_time)
