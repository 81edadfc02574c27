"""Bounds of means that hold at every look: the normal mixture in information time."""

from math import inf

import numpy as np

from sluicegate.gates.looks import Array
from sluicegate.stats import normal_mixture_bound

DECIDE_AT = 4.0
"""Bounds are tightest where the margin is so many standard errors wide: about when a candidate that does as predicted passes."""


def half_width(standard_error: float, margin: float, alpha: float) -> float:
    """Half width of the two-sided interval that holds at all looks with probability 1 - alpha; infinite without information.

    Parameters
    ----------
    standard_error : of the estimate, in its own unit.
    margin : what is to be decided, same unit; tunes where the bound is tightest, not whether it is valid.
    alpha : two-sided error over all looks.

    Source: Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021.
    """
    return float(half_widths(np.array([standard_error]), margin, alpha)[0])


def half_widths(standard_errors: Array, margin: float, alpha: float) -> Array:
    """`half_width` of each standard error."""
    known = (standard_errors > 0) & (standard_errors < inf)
    information = np.where(known, standard_errors, 1.0) ** -2.0
    bound = np.asarray(normal_mixture_bound(information, v_opt=(DECIDE_AT / margin) ** 2, alpha=alpha, sides=2))
    return np.where(known, bound / information, inf)


def ratio_standard_error(total: Array, units: Array) -> Array:
    """Standard error of sum(total) / sum(units) with variance over buckets; (..., buckets) to (...), infinite without units."""
    count = units.sum(axis=-1)
    mean = total.sum(axis=-1) / np.maximum(count, 1e-300)
    residual = total - mean[..., None] * units
    buckets = units.shape[-1]
    error = np.sqrt((residual * residual).sum(axis=-1) * buckets / max(buckets - 1, 1))
    return np.where(count > 0, error / np.maximum(count, 1e-300), inf)
