"""Population stability index with the null distribution that everybody forgets: thresholds must scale with the sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chdtri

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.checks import Vector

FLOOR = 1e-6
"""Share given to an empty bin when shares, not counts, are compared."""


@dataclass(frozen=True, eq=False)
class StabilityIndex(float):
    """PSI of two binned samples; it is the number `index` itself. The null fields are NaN when the sample sizes are unknown."""

    index: float
    bins: int
    null_mean: float
    """Mean of the index when nothing moved: (bins - 1)(1/N + 1/M)."""
    null_standard_deviation: float
    p_value: float
    """Chance of an index this large when nothing moved (chi-squared with bins - 1 degrees of freedom)."""

    def __new__(cls, index: float, *_: float) -> "StabilityIndex":
        return super().__new__(cls, index)

    def threshold(self, alpha: float) -> float:
        """The index that samples of this size exceed with probability `alpha` when nothing moved."""
        scale = self.null_mean / (self.bins - 1)
        return float(chdtri(self.bins - 1, checks.fraction("alpha", alpha)) * scale)


def population_stability_index(
    expected: ArrayLike, actual: ArrayLike, *, n_expected: float | None = None, n_actual: float | None = None
) -> StabilityIndex:
    """Sum over bins of (actual - expected) ln(actual / expected), in shares.

    Parameters
    ----------
    expected, actual : array of shape (bins,)
        Counts per bin of the two samples, or shares that sum to 1.
    n_expected, n_actual : float, optional
        Sample sizes where shares are given; counts carry their own.

    Returns
    -------
    StabilityIndex
        An empty bin is counted as half an observation (counts) or as `FLOOR` (shares): its true logarithm is infinite.

    Raises
    ------
    InputError
        NaN, negative numbers, fewer than two bins, an empty sample.

    References
    ----------
    Null distribution: Yurdakul and Naranjo 2020, Journal of Risk Model Validation 14(4).

    Examples
    --------
    >>> round(population_stability_index([0.5, 0.5], [0.6, 0.4]).index, 6)
    0.040547
    """
    old, size_old = _shares("expected", expected, n_expected)
    new, size_new = _shares("actual", actual, n_actual)
    checks.same_length(old.size, actual=new)
    index = float(np.sum((new - old) * np.log(new / old)))
    scale, degrees = 1 / size_old + 1 / size_new, old.size - 1
    p_value = float(chdtrc(degrees, index / scale)) if np.isfinite(scale) else float("nan")
    return StabilityIndex(index, old.size, degrees * scale, float(np.sqrt(2 * degrees)) * scale, p_value)


def _shares(name: str, values: ArrayLike, size: float | None) -> tuple[Vector, float]:
    array = checks.counts(name, values)
    total = float(array.sum())
    if array.size < 2 or total <= 0:
        raise InputError(f"`{name}` has {array.size} bins that sum to {total:g}: at least two bins and one observation.")
    are_shares = abs(total - 1) < 1e-6
    if are_shares:
        n = float("nan") if size is None else checks.number(f"n_{name}", size, above=0)
        return np.maximum(array / total, FLOOR), n
    return np.maximum(array, 0.5) / total, total
