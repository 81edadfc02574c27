"""Two forecasts of the same series: errors follow each other in time, so their differences are correlated."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.checks import Vector


@dataclass(frozen=True)
class DieboldMarianoResult:
    """Positive `statistic`: the second forecast loses less."""

    statistic: float
    p_value: float
    """Two-sided, Student t with n - 1 degrees of freedom."""
    difference: float
    """Mean of |e1|^power - |e2|^power."""
    horizon: int
    """The horizon that was used: 1 where the variance at the horizon asked for was not positive."""


def diebold_mariano(
    e1: ArrayLike, e2: ArrayLike, h: int = 1, power: float = 2, *, variance: Literal["acf", "bartlett"] = "acf"
) -> DieboldMarianoResult:
    """Test of equal accuracy of two forecasts, with the small-sample correction of Harvey, Leybourne and Newbold.

    Parameters
    ----------
    e1, e2 : array of shape (n,)
        Errors (actual - predicted) of champion and candidate on the same rows, *in the order of time*; n > h.
    h : int
        Forecast horizon in rows, >= 1: differences further apart are taken as uncorrelated.
    power : float
        Loss |e|^power: 1 for absolute, 2 for squared errors.
    variance : {"acf", "bartlett"}
        Sum of the autocovariances up to h - 1, or the same with falling weights, which is never negative.

    Returns
    -------
    DieboldMarianoResult
        Equal losses give statistic 0 and p 1. A variance that comes out negative falls back to h = 1, as in R's forecast.

    Raises
    ------
    InputError
        NaN, unequal lengths, n <= h, or differences that are constant but not 0 (zero variance).

    References
    ----------
    Diebold and Mariano 1995, JBES 13:253; Harvey, Leybourne and Newbold 1997, IJF 13:281; R package forecast, dm.test.
    """
    one, other = checks.vector("e1", e1, least=2), checks.vector("e2", e2)
    checks.same_length(one.size, e2=other)
    horizon = checks.whole("h", h, least=1)
    exponent = checks.number("power", power, above=0)
    if variance not in ("acf", "bartlett"):
        raise InputError(f"`variance` is {variance!r}: choose acf or bartlett.")
    if one.size <= horizon:
        raise InputError(f"`h` is {horizon} with {one.size} rows: more rows than the horizon are needed.")
    return _test(np.abs(one) ** exponent - np.abs(other) ** exponent, horizon, variance)


def _test(losses: Vector, h: int, weights: str) -> DieboldMarianoResult:
    n, mean = losses.size, float(losses.mean())
    if not losses.any():
        return DieboldMarianoResult(0.0, 1.0, 0.0, h)
    if losses.min() == losses.max():
        raise InputError(f"`e1` and `e2` differ by the loss {mean:g} in every row: zero variance, no test is possible.")
    variance = _long_run_variance(losses - mean, h, weights) / n
    if variance <= 0:
        return _test(losses, 1, weights)
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = float(mean / np.sqrt(variance) * correction)
    return DieboldMarianoResult(statistic, float(2 * stdtr(n - 1, -abs(statistic))), mean, h)


def _long_run_variance(centred: Vector, h: int, weights: str) -> float:
    n = centred.size
    total = float(centred @ centred)
    for lag in range(1, h):
        weight = 1 - lag / h if weights == "bartlett" else 1.0
        total += 2 * weight * float(centred[lag:] @ centred[:-lag])
    return total / n
