"""Gate `p95_ms`: at most 5 % of the candidate's requests are slower than the bound, or no more than the champion's at the same
time.

harm = candidate's slow share - max(5 %, champion's slow share), look by look, so what slows both is nobody's harm. Where the
champion answers nobody, weather looks like harm. There half of the money bets on a sudden, great harm, and half on a lasting one:
its evidence counts the less, the more slow requests come and go in time.
"""

from dataclasses import dataclass, field
from math import inf, sqrt

import numpy as np

from sluicegate.gates import blocks, events
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.budget import SLOW_SHARE
from sluicegate.gates.events import LIFTS, Process
from sluicegate.gates.looks import REQUESTS, SLOW, Array
from sluicegate.gates.moments import Moments

SUDDEN_SHARE = 4 * SLOW_SHARE
"""Weather alone does not make so many requests slow."""


@dataclass(frozen=True, eq=False)
class Latency:
    """Evidence on slow requests since the stage began."""

    process: Process = field(default_factory=lambda: events.new_process(2 * len(LIFTS)))
    """Bet on lasting and on sudden harm, which are the same where a champion answers; all looks."""
    clean: Array = field(default_factory=lambda: np.zeros((2, 2)))
    """Requests and slow ones by arm, champion first, without the looks in which the champion itself was shocked."""
    in_time: Blocks = field(default_factory=lambda: Blocks(np.zeros((0, 2))))
    """The candidate's requests and slow ones, where it answers alone."""


def fold(latency: Latency, look: Array, spread: float, *, alone: bool, shocked: bool) -> Latency:
    """One more look, (2, rows); `spread` is the overdispersion of slow requests, `alone`: there is no champion arm."""
    counts = look[:, (REQUESTS, SLOW)]
    (champion_n, champion_slow), (candidate_n, candidate_slow) = counts.tolist()
    bound = SLOW_SHARE if alone else max(SLOW_SHARE, cautious_share(champion_slow, champion_n))
    in_time = blocks.push(latency.in_time, counts[1]) if alone else latency.in_time
    lasting = events.share_evidence(candidate_slow, candidate_n, bound, max(spread, _overdispersion(in_time)))
    sudden = events.share_evidence(candidate_slow, candidate_n, SUDDEN_SHARE, spread) if alone else lasting
    process = events.grow(latency.process, np.concatenate((lasting, sudden)))
    return Latency(process, latency.clean if shocked else latency.clean + counts, in_time)


def _overdispersion(in_time: Blocks) -> float:
    """Variance of the slow share over blocks of looks relative to independent requests, at least 1."""
    requests, slow = (float(total) for total in in_time.sums.sum(axis=0))
    error = blocks.standard_error(in_time, 1)
    if not 0 < slow < requests or error == inf:
        return 1.0
    return max(1.0, error * error * requests * requests / (slow * (1 - slow / requests)))


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
