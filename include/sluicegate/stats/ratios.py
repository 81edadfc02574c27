"""Difference of two ratio means with its variance over buckets: the workhorse of the online judge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.checks import Labels, Vector, sums


@dataclass(frozen=True)
class RatioDifference:
    """sum(numerator) / sum(denominator) of the candidate less that of the champion."""

    difference: float
    standard_error: float
    champion: float
    """Ratio of arm 0."""
    candidate: float
    """Ratio of arm 1."""
    buckets_champion: int
    buckets_candidate: int
    """Buckets with exposure in each arm: the number of units behind the standard error."""

    @property
    def information(self) -> float:
        """1 / standard_error^2, the intrinsic time of the sequential tests; infinity for a standard error of 0."""
        return 1 / self.standard_error**2 if self.standard_error > 0 else float("inf")


def ratio_difference(numerator: ArrayLike, denominator: ArrayLike, arm: ArrayLike, bucket: ArrayLike) -> RatioDifference:
    """Difference of two ratio means, arm 1 - arm 0, with cluster-robust standard error.

    Parameters
    ----------
    numerator, denominator : array of shape (n,)
        Per row, e.g. errors and requests of one bucket in one look; denominator >= 0.
    arm : array of shape (n,)
        0 (champion) or 1 (candidate).
    bucket : array of shape (n,)
        The unit of assignment. A bucket may occur in both arms (it moved as the weight grew, or its rows are pairs):
        the covariance this causes is counted.

    Returns
    -------
    RatioDifference
        Difference in the unit numerator / denominator.

    Raises
    ------
    InputError
        NaN, negative denominators, an arm with no exposure or with a single bucket: no evidence is no estimate.

    Notes
    -----
    Delta method: influence of bucket b is (N_b - R D_b) / sum(D) per arm, with the factor k / (k - 1) for k buckets.
    For disjoint buckets this is the two-sample formula, for a bucket in both arms the paired one.

    References
    ----------
    Deng, Knoblich and Lu 2018, KDD (delta method for ratio metrics); Liang and Zeger 1986.

    Examples
    --------
    >>> round(ratio_difference([1, 2, 3, 4], [10, 10, 10, 10], [0, 0, 1, 1], [0, 1, 2, 3]).difference, 6)
    0.2
    """
    top, bottom = checks.vector("numerator", numerator), checks.counts("denominator", denominator)
    treated = checks.binary("arm", arm)
    checks.same_length(top.size, denominator=bottom, arm=treated)
    codes, k = checks.cluster_codes(bucket, top.size, name="bucket")
    ratios, influences, buckets = [], [], []
    for number, rows in enumerate((~treated, treated)):
        ratio, influence, used = _arm(number, sums(codes[rows], top[rows], k), sums(codes[rows], bottom[rows], k))
        ratios.append(ratio)
        influences.append(influence)
        buckets.append(used)
    spread = influences[1] - influences[0]
    standard_error = float(np.sqrt(spread @ spread))
    return RatioDifference(ratios[1] - ratios[0], standard_error, ratios[0], ratios[1], buckets[0], buckets[1])


def _arm(number: int, top: Vector, bottom: Vector) -> tuple[float, Vector, int]:
    """Ratio of one arm, its influence per bucket scaled for few buckets, and the number of buckets with exposure."""
    exposure = bottom.sum()
    used = _used(number, bottom, exposure)
    ratio = float(top.sum() / exposure)
    return ratio, (top - ratio * bottom) / exposure * np.sqrt(used / (used - 1)), used


def _used(number: int, bottom: Vector, exposure: float) -> int:
    present: Labels = bottom > 0
    used = int(present.sum())
    if used < 2:
        raise InputError(
            f"`arm` {number} has exposure {exposure:g} in {used} buckets: at least two buckets with exposure are needed."
        )
    return used
