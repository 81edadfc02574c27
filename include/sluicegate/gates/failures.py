"""Gate `error_rate`: the candidate fails no more requests than the champion does at the same time, beyond the margin.

Errors are what the servers admit and what the gateway saw, whichever is more: a crash never reaches the server's own counter,
and a retry hides it from the user but not from the gateway.
"""

from dataclasses import dataclass, field

import numpy as np

from sluicegate.gates import events
from sluicegate.gates.events import LIFTS, RATIO_PRIOR, RATIOS, Process
from sluicegate.gates.looks import ERRORS, Array
from sluicegate.gates.moments import Moments
from sluicegate.gates.records import changed


@dataclass(frozen=True, eq=False)
class Failures:
    """Evidence on errors since the stage began; arrays (2 arms, requests and errors), champion first."""

    process: Process | None = None
    """The bet on harm: that errors fall on the candidate more often than its share of requests, which is any harm; at weight 100,
    where no champion answers, that its error rate exceeds the reference plus the margin."""
    servers: Array = field(default_factory=lambda: np.zeros((2, 2)))
    gateway: Array = field(default_factory=lambda: np.zeros((2, 2)))
    used: Array = field(default_factory=lambda: np.zeros((2, 2)))
    """The greater of what servers and gateway counted, up to the last look."""
    clean: Array = field(default_factory=lambda: np.zeros((2, 2)))
    """`used` without the looks in which the champion itself was shocked."""

    @property
    def log_peak(self) -> float:
        """Greatest log evidence of harm so far."""
        return 0.0 if self.process is None else float(self.process.log_peak)


def fold(
    failures: Failures,
    servers: Array | None,
    gateway: Array | None,
    spread: float,
    *,
    limit: float,
    alone: bool,
    shocked: bool,
) -> Failures:
    """One more look: what the servers added, (2, rows), and what the gateway added; None where that is not known.

    `spread` is the overdispersion of errors over users, the greater of both arms, `limit` the rate that the bet at weight 100 is made
    against, where no champion answers (`alone`).
    """
    own = failures.servers if servers is None else failures.servers + servers[:, : ERRORS + 1]
    if gateway is None:
        return changed(failures, servers=own)
    seen = failures.gateway + gateway
    used = np.maximum(own, seen)
    look = used - failures.used
    clean = failures.clean if shocked else failures.clean + look
    process = _bet(failures.process, look.tolist(), spread, limit, alone=alone)
    return Failures(process, own, seen, used, clean)


def _bet(process: Process | None, look: list[list[float]], spread: float, limit: float, *, alone: bool) -> Process:
    (champion_n, champion_k), (candidate_n, candidate_k) = look
    if alone:
        bet = events.share_evidence(min(candidate_k, candidate_n), candidate_n, limit, spread)
        return events.grow(process or events.new_process(len(LIFTS)), bet)
    both = champion_n + candidate_n
    bet = events.arm_evidence(champion_k, candidate_k, candidate_n / both if both > 0 else 0.0, spread)
    return events.grow(process or events.new_process(len(RATIOS), RATIO_PRIOR), bet)


def bounds(
    failures: Failures, moments: tuple[Moments, ...], alpha: float, *, reference: float | None
) -> tuple[float, float, float, float]:
    """Champion's rate, candidate's rate, and lower and upper bound of harm at all looks, from the unshocked looks.

    `reference` replaces the champion's arm where there is none (weight 100).
    """
    (champion_n, champion_k), (candidate_n, candidate_k) = failures.clean.tolist()
    champion_spread, spread = (arm.overdispersion(ERRORS) for arm in moments)
    rate = candidate_k / candidate_n if candidate_n > 0 else 0.0
    if reference is not None:
        low, high = events.rate_bounds(candidate_k, candidate_n, alpha, spread)
        return reference, rate, low - reference, high - reference
    low, high = events.rate_bounds(candidate_k, candidate_n, alpha / 2, spread)
    champion_low, champion_high = events.rate_bounds(champion_k, champion_n, alpha / 2, champion_spread)
    champion_rate = champion_k / champion_n if champion_n > 0 else 0.0
    return champion_rate, rate, low - champion_high, high - champion_low
