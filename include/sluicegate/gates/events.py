"""Sequential tests of counted events (slow requests, errors), correct at small counts and at every look.

An e-process is what a gambler owns who starts with 1 and bets against "no harm" at fair odds: under no harm it exceeds 1/alpha
at any time with probability at most alpha (Ville 1939). Ours mixes over sizes of harm and over the look at which the harm
began, so a late harm is found about as fast as an early one. Counts of one user or one instant are not independent: what a look
adds is divided by the overdispersion seen so far, and one look may add at most `LOOK_CAP`, so that no single bad instant takes
a rollout back.
"""

from dataclasses import dataclass, field
from math import exp, inf, lgamma, log, log1p, sqrt

import numpy as np

from sluicegate.gates.looks import Array

LOOK_CAP = 5.0
"""Most natural-log evidence that one look may add; capping from above keeps the error rate."""
LIFTS = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 0.95])
"""Harms that the bet on a share mixes over: the share is `bound + lift * (1 - bound)`."""
RATIOS = np.array([1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])
"""Harms that the bet on an arm mixes over: the candidate's rate is so many times the champion's."""
RATIO_PRIOR = np.array([0.28, 0.4, 0.14, 0.08, 0.05, 0.03, 0.02])
"""How the money is split over RATIOS: where evidence is dear (small harms) it is needed, great harms show themselves."""
PRIOR = (0.5, 20.0)
"""Beta prior of the bounds on a rate: tight where healthy rates are, near zero; valid anywhere."""

_LOG_REST = np.array([log1p(-lift) for lift in LIFTS.tolist()])
_LOG_RATIOS = np.array([log(ratio) for ratio in RATIOS.tolist()])

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
    log_prior: Array | float | None = None
    """Log share of the money that goes to each alternative; None: equal shares."""


def new_process(size: int, prior: Array | None = None, streams: tuple[int, ...] = ()) -> Process:
    """A process that mixes over `size` alternatives and has seen nothing; `streams` are leading axes."""
    return Process(np.full((*streams, size), -inf), log_prior=None if prior is None else _logs(prior))


def grow(process: Process, log_likelihood: Array) -> Process:
    """One more look with these log likelihood ratios, (..., alternatives); leading axes are independent streams.

    Half of the money starts at the first look; the other half is spread over later looks t with weights 1 / (t (t + 1)).
    """
    t = process.looks
    share = 0.5 if t == 0 else 0.5 / (t * (t + 1))
    prior = -log(process.begun.shape[-1]) if process.log_prior is None else process.log_prior
    begun = np.logaddexp(process.begun, log(share) + prior) + np.minimum(log_likelihood, LOOK_CAP)
    value = np.logaddexp(np.logaddexp.reduce(begun, axis=-1), log(0.5 / (t + 1)))
    return Process(begun, t + 1, value, np.maximum(process.log_peak, value), process.log_prior)


def _logs(values: Array) -> Array:
    """Natural logarithm of each; numpy's own differs in the last bit between processors, and verdicts must not."""
    return np.array([log(value) for value in values.ravel().tolist()]).reshape(values.shape)


def share_evidence(events: Counts, trials: Counts, bound: Counts, overdispersion: Counts) -> Array:
    """Log likelihood ratios of `events` in `trials` for shares above `bound` against exactly `bound`; (..., alternatives)."""
    k, n, level, spread = (_column(x) for x in (events, trials, bound, overdispersion))
    level = np.minimum(np.maximum(level, 1e-9), 1.0)
    up, down = _logs((level + LIFTS * (1 - level)) / level), _LOG_REST
    return np.asarray(np.where(level < 1, k * up + (n - k) * down, 0.0) / spread)


def _column(counts: Counts) -> Counts:
    """With room for the alternatives; one stream broadcasts as the number that it is."""
    return counts[..., None] if isinstance(counts, np.ndarray) else counts


def arm_evidence(champion: Counts, candidate: Counts, exposure: Counts, overdispersion: Counts) -> Array:
    """Log likelihood ratios of where events fell, for higher rates in the candidate against equal rates; (..., alternatives).

    Parameters
    ----------
    champion, candidate : events of each arm in one look.
    exposure : the candidate's part of the look's requests; 0 and 1 tell nothing.
    overdispersion : variance over that of independent events, at least 1.

    Source: Lindon and Malek 2022, with the exposure of each look in place of a fixed assignment.
    """
    h, c, part, spread = (_column(x) for x in (champion, candidate, exposure, overdispersion))
    shared = _logs(1 + (RATIOS - 1) * part)
    both_asked = (part > 0) & (part < 1)
    return np.asarray(np.where(both_asked, c * (_LOG_RATIOS - shared) - h * shared, 0.0) / spread)


def overdispersion(events: Array, trials: Array) -> Array:
    """Variance of a share over buckets relative to independent events, at least 1; (..., buckets) to (...)."""
    count, total = np.add.reduce(events, axis=-1), np.add.reduce(trials, axis=-1)
    share = count / np.maximum(total, 1.0)
    residual = events - share[..., None] * trials
    buckets = events.shape[-1]
    clustered = np.add.reduce(residual * residual, axis=-1) * buckets / max(buckets - 1, 1)
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
    need = _log_beta(k + a, n - k + b) - _log_beta(a, b) + log(alpha)
    return (0.0 if k == 0 else _low(k, n, need)), (1.0 if k == n else _high(k, n, need))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _low(k: float, n: float, need: float) -> float:
    """The rate below k / n where k ln p + (n - k) ln(1 - p) is `need`, from a rate that is surely lower."""
    rate = k / n
    fall = max((_log_likelihood(rate, k, n) - need) / n, 0.0)
    return _newton(max(rate - sqrt(2 * rate * fall), exp(need / k)), k, n, need)


def _high(k: float, n: float, need: float) -> float:
    """The same above k / n."""
    rate = k / n
    if rate > 0.5:
        return 1.0 - _low(n - k, n, need)
    fall = max((_log_likelihood(rate, k, n) - need) / n, 0.0)
    return _newton(min(rate + fall + sqrt(fall * fall + 2 * rate * fall), 1 - 1e-12), k, n, need)


def _newton(rate: float, k: float, n: float, need: float) -> float:
    """The root of the concave log likelihood less `need`, from where it is negative: the steps never cross it."""
    for _ in range(60):
        missing = _log_likelihood(rate, k, n) - need
        if missing >= 0:
            break
        step = missing / (k / rate - (n - k) / (1 - rate))
        rate -= step
        if abs(step) <= 1e-12 * rate:
            break
    return rate


def _log_likelihood(rate: float, k: float, n: float) -> float:
    return (k * log(rate) if k else 0.0) + ((n - k) * log1p(-rate) if n > k else 0.0)
