"""What proves that no gate could have failed on the way: an interval of a mean is never narrower than `reach` standard errors."""

from math import log, sqrt

import numpy as np

from judge.world import Array
from sluicegate.gates import events
from sluicegate.gates.looks import Source

FINE = Source(problem="")
"""Of a counter that was read at every look."""


class NearDecisionError(Exception):
    """Some gate might have failed at one of the looks, or the stage is of a kind that is not folded at once."""


def grown(process: events.Process, evidence: Array, alpha: Array) -> events.Process:
    """The process after these looks, (looks, streams, alternatives), none of which brought a stream near its part of the budget."""
    for look in evidence:
        process = events.grow(process, look)
    clear(bool(np.all(process.log_peak < -np.log(alpha) - 1e-6)))
    return process


def clear(fine: bool) -> None:
    """Go on only where this is proven."""
    if not fine:
        raise NearDecisionError


def reach(alpha: float) -> float:
    """Standard errors that the narrowest interval has."""
    return sqrt(-2 * log(alpha))
