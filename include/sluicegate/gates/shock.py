"""Common shock: what the champion suffers in the same look is not the candidate's harm."""

from dataclasses import dataclass
from math import sqrt

from sluicegate.gates.budget import SLOW_SHARE
from sluicegate.gates.looks import ERRORS, REQUESTS, SLOW, Array

ERROR_FLOOR = 0.02
"""An error rate of the champion below this is no shock."""
GROWTH = 2.0
"""A shock is at least so many times the champion's own record before the stage."""
SIGMAS = 3.0
"""Standard errors by which one look must exceed that."""


@dataclass(frozen=True)
class Limits:
    """Shares above which a look is a shock, from the champion's record before the stage."""

    slow: float = SLOW_SHARE
    errors: float = ERROR_FLOOR


def limits(record: Array | None) -> Limits:
    """Limits from the champion's counters (7,) at the stage's start; None when they were not read."""
    if record is None or record[REQUESTS] <= 0:
        return Limits()
    requests = float(record[REQUESTS])
    return Limits(
        max(SLOW_SHARE, GROWTH * float(record[SLOW]) / requests), max(ERROR_FLOOR, GROWTH * float(record[ERRORS]) / requests)
    )


def shocked(arm: Array, limit: Limits) -> bool:
    """Whether one arm's look (7,) exceeds the limits beyond chance."""
    return any(_exceeds(float(arm[row]), float(arm[REQUESTS]), bar) for row, bar in ((SLOW, limit.slow), (ERRORS, limit.errors)))


def suffers(arm: Array, limit: Limits) -> bool:
    """Whether one arm's look (7,) exceeds the limits at all."""
    requests = float(arm[REQUESTS])
    return requests > 0 and (arm[SLOW] / requests > limit.slow or arm[ERRORS] / requests > limit.errors)


def _exceeds(events: float, requests: float, bar: float) -> bool:
    return requests > 0 and events - SIGMAS * sqrt(requests * bar * (1 - min(bar, 1.0))) > requests * bar
