"""Sequential tests of counted events (slow requests, errors), correct at small counts and at every look.

An e-process is what a gambler owns who starts with 1 and bets against "no harm" at fair odds: under no harm it exceeds 1/alpha
at any time with probability at most alpha (Ville 1939). Ours mixes over sizes of harm and over the look at which the harm
began, so a late harm is found about as fast as an early one. Counts of one user or one instant are not independent: what a look
adds is divided by the overdispersion seen so far, and one look may add at most `LOOK_CAP`, so that no single bad instant takes
a rollout back.
"""

from dataclasses import dataclass, field
from math import inf, log, log1p

import numpy as np
from scipy.special import betaln

from sluicegate.gates.looks import Array

LOOK_CAP = 5.0
"""Most natural-log evidence that one look may add; capping from above keeps the error rate."""
LIFTS = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 0.95])
"""Harms that the bet on a share mixes over: the share is `bound + lift * (1 - bound)`."""
RATIOS = np.array([1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])
"""Harms that the bet on an arm mixes over: the candidate's rate is so many times the champion's."""
PRIOR = (0.5, 20.0)
"""Beta prior of the bounds on a rate: tight where healthy rates are, near zero; valid anywhere."""


Counts = float | Array
"""One look of one stream, or an array of streams."""


@dataclass(frozen=True, eq=False)
class Process:
    """An e-process over looks: log value of the bets that have begun, (..., alternatives), and what all the money is worth."""

    begun: Array
    looks: int = 0
    log_value: Array = field(default_factory=lambda: np.zeros(()))
    log_peak: Array = field(default_factory=lambda: np.zeros(()))
    """Highest value so far: what was once proven stays proven."""


def new_process(size: int) -> Process:
    """A process that mixes over `size` alternatives and has seen nothing."""
    return Process(np.full(size, -inf))


def grow(process: Process, log_likelihood: Array) -> Process:
    """One more look with these log likelihood ratios, (..., alternatives); leading axes are independent streams.

    Half of the money starts at the first look; the other half is spread over later looks t with weights 1 / (t (t + 1)).
    """
    t = process.looks
    share = 0.5 if t == 0 else 0.5 / (t * (t + 1))
    entered = np.logaddexp(process.begun, log(share / process.begun.shape[-1]))
    begun = entered + np.minimum(log_likelihood, LOOK_CAP)
    unspent = log(0.5 / (t + 1))
    value = np.logaddexp(np.logaddexp.reduce(begun, axis=-1), unspent)
    return Process(begun, t + 1, value, np.maximum(process.log_peak, value))


def share_evidence(events: Counts, trials: Counts, bound: Counts, overdispersion: Counts) -> Array:
    """Log likelihood ratios of `events` in `trials` for shares above `bound` against exactly `bound`; (..., alternatives)."""
    k, n, level, spread = (np.asarray(x, dtype=np.float64)[..., None] for x in (events, trials, bound, overdispersion))
    level = np.clip(level, 1e-9, 1.0)
    up, down = np.log((level + LIFTS * (1 - level)) / level), np.log1p(-LIFTS)
    return np.asarray(np.where(level < 1, k * up + (n - k) * down, 0.0) / spread)


def arm_evidence(champion: Counts, candidate: Counts, exposure: Counts, overdispersion: Counts) -> Array:
    """Log likelihood ratios of where events fell, for higher rates in the candidate against equal rates; (..., alternatives).

    Parameters
    ----------
    champion, candidate : events of each arm in one look.
    exposure : the candidate's part of the look's requests; 0 and 1 tell nothing.
    overdispersion : variance over that of independent events, at least 1.

    Source: Lindon and Malek 2022, with the exposure of each look in place of a fixed assignment.
    """
    h, c, part, spread = (np.asarray(x, dtype=np.float64)[..., None] for x in (champion, candidate, exposure, overdispersion))
    shared = np.log1p((RATIOS - 1) * part)
    both_asked = (part > 0) & (part < 1)
    return np.asarray(np.where(both_asked, c * (np.log(RATIOS) - shared) - h * shared, 0.0) / spread)


def overdispersion(events: Array, trials: Array) -> Array:
    """Variance of a share over buckets relative to independent events, at least 1; (..., buckets) to (...)."""
    count, total = events.sum(axis=-1), trials.sum(axis=-1)
    share = count / np.maximum(total, 1.0)
    residual = events - share[..., None] * trials
    buckets = events.shape[-1]
    clustered = (residual * residual).sum(axis=-1) * buckets / max(buckets - 1, 1)
    known = (count >= 2) & (count < total)
    return np.where(known, np.maximum(1.0, clustered / np.where(known, share * (1 - share) * total, 1.0)), 1.0)


def rate_bounds(events: float, trials: float, alpha: float, overdispersion: float = 1.0) -> tuple[float, float]:
    """Bounds of a rate that hold at all looks together with probability 1 - alpha.

    Source: the prior-posterior ratio of Waudby-Smith and Ramdas 2020 with the prior `PRIOR`; no trials give (0, 1).
    """
    if trials <= 0:
        return 0.0, 1.0
    k, n = min(events, trials) / overdispersion, trials / overdispersion
    a, b = PRIOR
    need = float(betaln(k + a, n - k + b) - betaln(a, b)) + log(alpha)
    mode = k / n
    low = 0.0 if k == 0 else _edge(k, n, need, 0.0, mode)
    high = 1.0 if k == n else _edge(k, n, need, 1.0, mode)
    return low, high


def _edge(k: float, n: float, need: float, outside: float, inside: float) -> float:
    """Where the log likelihood falls to `need` between a rejected and a kept rate; halving to 2^-40."""
    for _ in range(40):
        middle = (outside + inside) / 2
        likelihood = (k * log(middle) if k else 0.0) + ((n - k) * log1p(-middle) if n > k else 0.0)
        if likelihood < need:
            outside = middle
        else:
            inside = middle
    return outside
