"""Bounds of means that hold at every look: the normal mixture in information time."""

from functools import cache
from math import inf, log, sqrt

import numpy as np

from sluicegate.gates.looks import Array
from sluicegate.stats import best_rho

DECIDE_AT = 4.0
"""Bounds are tightest where the margin is so many standard errors wide: about when a candidate that does as predicted passes."""


def half_width(standard_error: float, margin: float, alpha: float) -> float:
    """Half width of the two-sided interval that holds at all looks with probability 1 - alpha; infinite without information.

    The bound of `stats.normal_mixture_bound` at information 1 / standard_error², divided by it, in plain arithmetic: the same on
    every machine, and cheap enough for every look.

    Parameters
    ----------
    standard_error : of the estimate, in its own unit.
    margin : what is to be decided, same unit; tunes where the bound is tightest, not whether it is valid.
    alpha : two-sided error over all looks.

    Source: Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021.
    """
    if not 0 < standard_error < inf:
        return inf
    information, rho = standard_error**-2.0, _rho(margin, alpha)
    spread = information + rho
    return float(sqrt(spread * (log(spread / rho) - 2 * log(alpha))) / information)


@cache
def _rho(margin: float, alpha: float) -> float:
    return best_rho((DECIDE_AT / margin) ** 2, alpha)


def independent_error(champion: tuple[float, float, float], candidate: tuple[float, float, float], margin: float) -> float:
    """Standard error of a difference of means if requests were independent: below this no estimate over few users is believed.

    Each arm is its count, sum and sum of squares. The candidate, seen less, is never believed to be quieter than the champion, and
    one more request that is off by the margin is always thought possible.
    """
    quiet = [max(square / count - (total / count) ** 2, 0.0) for count, total, square in (champion, candidate)]
    return sqrt(quiet[0] / champion[0] + max(quiet) / candidate[0] + (margin / candidate[0]) ** 2)


def beyond(gaps: Array, standard_errors: Array, margin: float, alpha: float) -> Array:
    """By how much each gap (>= 0) exceeds the `half_width` of its standard error, else 0.

    No half width is below sqrt(-2 ln alpha) standard errors, so most gaps need no logarithm.
    """
    sure = np.zeros_like(gaps)
    for place in np.flatnonzero(gaps > sqrt(-2 * log(alpha)) * standard_errors).tolist():
        sure[place] = max(float(gaps[place]) - half_width(float(standard_errors[place]), margin, alpha), 0.0)
    return sure


def ratio_standard_error(total: Array, units: Array) -> Array:
    """Standard error of sum(total) / sum(units) with variance over buckets; (..., buckets) to (...), infinite without units."""
    count = units.sum(axis=-1)
    mean = total.sum(axis=-1) / np.maximum(count, 1e-300)
    residual = total - mean[..., None] * units
    buckets = units.shape[-1]
    error = np.sqrt((residual * residual).sum(axis=-1) * buckets / max(buckets - 1, 1))
    return np.where(count > 0, error / np.maximum(count, 1e-300), inf)
