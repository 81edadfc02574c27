"""Gate `p95_ms`: at most 5 % of the candidate's requests are slower than the bound, or no more than the champion's at the same
time.

harm = candidate's slow share - max(5 %, champion's slow share), look by look, so what slows both is nobody's harm.
"""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from sluicegate.gates import events
from sluicegate.gates.budget import SLOW_SHARE
from sluicegate.gates.events import LIFTS, Process
from sluicegate.gates.looks import REQUESTS, SLOW, Array
from sluicegate.gates.moments import Moments


@dataclass(frozen=True, eq=False)
class Latency:
    """Evidence on slow requests since the stage began."""

    process: Process = field(default_factory=lambda: events.new_process(len(LIFTS)))
    """Bet on harm; all looks."""
    clean: Array = field(default_factory=lambda: np.zeros((2, 2)))
    """Requests and slow ones by arm, champion first, without the looks in which the champion itself was shocked."""


def fold(latency: Latency, look: Array, spread: float, *, alone: bool, shocked: bool) -> Latency:
    """One more look, (2, rows); `spread` is the overdispersion of slow requests, `alone`: there is no champion arm."""
    counts = look[:, (REQUESTS, SLOW)]
    (champion_n, champion_slow), (candidate_n, candidate_slow) = counts.tolist()
    bound = SLOW_SHARE if alone else max(SLOW_SHARE, cautious_share(champion_slow, champion_n))
    bet = events.share_evidence(candidate_slow, candidate_n, bound, spread)
    return Latency(events.grow(latency.process, bet), latency.clean if shocked else latency.clean + counts)


def cautious_share(slow: float, requests: float) -> float:
    """The champion's share in one look, raised by about one standard error: a small look must not lend it too good a record."""
    return min(1.0, (slow + 1.0 + sqrt(slow + 0.25)) / (requests + 1.0)) if requests > 0 else 1.0


def bounds(latency: Latency, moments: tuple[Moments, ...], alpha: float, *, alone: bool) -> tuple[float, float, float, float]:
    """Champion's share, candidate's share, and lower and upper bound of harm at all looks, from the unshocked looks."""
    (champion_n, champion_slow), (candidate_n, candidate_slow) = latency.clean.tolist()
    champion_spread, spread = (arm.overdispersion(SLOW) for arm in moments)
    low, high = events.rate_bounds(candidate_slow, candidate_n, alpha, spread)
    allowed_low, allowed_high = SLOW_SHARE, SLOW_SHARE
    if not alone:
        champion_low, champion_high = events.rate_bounds(champion_slow, champion_n, alpha, champion_spread)
        allowed_low, allowed_high = max(SLOW_SHARE, champion_low), max(SLOW_SHARE, champion_high)
    return _rate(champion_slow, champion_n), _rate(candidate_slow, candidate_n), low - allowed_high, high - allowed_low


def _rate(events_seen: float, trials: float) -> float:
    return events_seen / trials if trials > 0 else 0.0
