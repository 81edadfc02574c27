"""Bounds of means that hold at every look: the normal mixture in information time."""

from math import inf

import numpy as np

from sluicegate.gates.looks import Array
from sluicegate.stats import normal_mixture_bound

DECIDE_AT = 6.0
"""A margin should be decided when it is this many standard errors wide: half of it for noise on each side."""


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


def ratio_standard_error(total: Array, units: Array) -> float:
    """Standard error of sum(total) / sum(units) with variance over buckets; both arrays have one entry per bucket."""
    count = float(units.sum())
    if count <= 0:
        return inf
    residual = total - total.sum() / count * units
    buckets = len(units)
    return float(np.sqrt(residual @ residual * buckets / (buckets - 1))) / count
