"""Gate `error_rate`: the candidate fails no more requests than the champion does at the same time, beyond the margin.

Errors are what the servers admit and what the gateway saw, whichever is more: a crash never reaches the server's own counter,
and a retry hides it from the user but not from the gateway.
"""

from dataclasses import dataclass, field

import numpy as np

from sluicegate.gates import events
from sluicegate.gates.events import LIFTS, RATIOS, Process
from sluicegate.gates.looks import ERRORS, REQUESTS, Array


@dataclass(frozen=True, eq=False)
class Failures:
    """Evidence on errors since the stage began; arrays (2 arms, requests and errors), champion first."""

    by_arm: Process = field(default_factory=lambda: events.new_process(len(RATIOS)))
    """Bet that errors fall on the candidate more often than its share of requests: any harm."""
    by_share: Process = field(default_factory=lambda: events.new_process(len(LIFTS)))
    """Bet that the candidate's error rate exceeds the reference plus the margin: at weight 100, where no champion answers."""
    servers: Array = field(default_factory=lambda: np.zeros((2, 2)))
    gateway: Array = field(default_factory=lambda: np.zeros((2, 2)))
    used: Array = field(default_factory=lambda: np.zeros((2, 2)))
    """The greater of what servers and gateway counted, up to the last look."""
    clean: Array = field(default_factory=lambda: np.zeros((2, 2)))
    """`used` without the looks in which the champion itself was shocked."""


def fold(
    failures: Failures, servers: Array | None, gateway: Array | None, total: Array, *, limit: float, shocked: bool
) -> Failures:
    """One more look: what the servers added, what the gateway added (None: not known), arms since the stage began (2, 7,
    buckets).

    `limit` is the rate that the bet at weight 100 is made against.
    """
    own = failures.servers if servers is None else failures.servers + servers[:, (REQUESTS, ERRORS)]
    seen = failures.gateway if gateway is None else failures.gateway + gateway
    if gateway is None:
        return Failures(failures.by_arm, failures.by_share, own, seen, failures.used, failures.clean)
    used = np.maximum(own, seen)
    look = used - failures.used
    (champion_n, champion_k), (candidate_n, candidate_k) = look
    spread = events.overdispersion(total[1, ERRORS], total[1, REQUESTS])
    both = champion_n + candidate_n
    exposure = float(candidate_n / both) if both > 0 else 0.0
    by_arm = events.grow(failures.by_arm, events.arm_evidence(champion_k, candidate_k, exposure, spread))
    bet = events.share_evidence(min(candidate_k, candidate_n), candidate_n, limit, spread)
    clean = failures.clean if shocked else failures.clean + look
    return Failures(by_arm, events.grow(failures.by_share, bet), own, seen, used, clean)


def bounds(failures: Failures, total: Array, alpha: float, *, reference: float | None) -> tuple[float, float, float, float]:
    """Champion's rate, candidate's rate, and lower and upper bound of harm at all looks, from the unshocked looks.

    `reference` replaces the champion's arm where there is none (weight 100).
    """
    (champion_n, champion_k), (candidate_n, candidate_k) = failures.clean.tolist()
    spread = float(events.overdispersion(total[1, ERRORS], total[1, REQUESTS]))
    rate = candidate_k / candidate_n if candidate_n > 0 else 0.0
    if reference is not None:
        low, high = events.rate_bounds(candidate_k, candidate_n, alpha, spread)
        return reference, rate, low - reference, high - reference
    low, high = events.rate_bounds(candidate_k, candidate_n, alpha / 2, spread)
    champion_spread = float(events.overdispersion(total[0, ERRORS], total[0, REQUESTS]))
    champion_low, champion_high = events.rate_bounds(champion_k, champion_n, alpha / 2, champion_spread)
    champion_rate = champion_k / champion_n if champion_n > 0 else 0.0
    return champion_rate, rate, low - champion_high, high - champion_low
