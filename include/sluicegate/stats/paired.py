"""Two models' decisions on the same rows: only the discordant pairs speak."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import bdtr, chdtrc, gammaln

from sluicegate.errors import InputError
from sluicegate.stats import checks, normal

Method = Literal["exact", "midp", "chi2", "corrected"]


@dataclass(frozen=True)
class McnemarResult:
    """Test of equal marginal rates from `b` and `c` discordant pairs."""

    b: int
    c: int
    method: Method
    statistic: float
    """Chi-squared value with one degree of freedom; for "exact" and "midp" the smaller of b and c."""
    p_value: float
    """Two-sided."""


def mcnemar_test(b: int, c: int, *, method: Method = "exact") -> McnemarResult:
    """McNemar's test of discordant pairs.

    Parameters
    ----------
    b, c : int
        Pairs that only the first, and only the second model got right (or decided positive), >= 0.
    method : {"exact", "midp", "chi2", "corrected"}
        Binomial test; binomial with half of the observed probability (less conservative); (b - c)^2 / (b + c);
        the same with Edwards' continuity correction.

    Returns
    -------
    McnemarResult
        b + c = 0 gives p 1: pairs that agree are no evidence.

    Raises
    ------
    InputError
        Negative or fractional counts, an unknown method.

    References
    ----------
    McNemar 1947; Edwards 1948; mid-p: Fagerland, Lydersen and Laake 2013, BMC Med Res Methodol 13:91.

    Examples
    --------
    >>> round(mcnemar_test(150, 86, method="chi2").statistic, 6)
    17.355932
    """
    b, c = checks.whole("b", b), checks.whole("c", c)
    if method in ("chi2", "corrected"):
        gap = max(abs(b - c) - (method == "corrected"), 0)
        statistic = gap**2 / (b + c) if b + c else 0.0
        return McnemarResult(b, c, method, statistic, float(chdtrc(1, statistic)))
    if method not in ("exact", "midp"):
        raise InputError(f"`method` is {method!r}: choose exact, midp, chi2 or corrected.")
    return McnemarResult(b, c, method, float(min(b, c)), _binomial_p(min(b, c), b + c, midp=method == "midp"))


def tango_interval(b: int, c: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Score confidence interval of the paired difference (b - c) / n.

    Parameters
    ----------
    b, c : int
        Discordant pairs of either kind.
    n : int
        All pairs, >= max(1, b + c).
    alpha : float
        Two-sided level.

    Returns
    -------
    (low, high) : tuple of float
        Within [-1, 1]; keeps its level for small n and for b = c = 0, where Wald's interval has width 0.

    References
    ----------
    Tango 1998, Statistics in Medicine 17:891.
    """
    b, c, n = checks.whole("b", b), checks.whole("c", c), checks.whole("n", n, least=1)
    if b + c > n:
        raise InputError(f"`n` is {n}: it must be at least b + c = {b + c}.")
    z = normal.quantile(1 - checks.fraction("alpha", alpha) / 2)
    # The interval of the mirrored table is the mirrored interval: one root finder for both ends.
    return -_tango_upper(c, b, n, z), _tango_upper(b, c, n, z)


def _tango_upper(b: int, c: int, n: int, z: float) -> float:
    """The largest difference that the score test does not reject."""
    estimate = (b - c) / n
    if estimate == 1:
        return 1.0

    def slack(delta: float) -> float:
        return b - c - n * delta + z * math.sqrt(max(_tango_variance(delta, b, c, n), 0.0))

    from scipy.optimize import brentq

    # At 1 the variance vanishes and the slack is b - c - n < 0. At the estimate it is >= 0, but 0 where the variance
    # vanishes there too (no discordant pair, or nothing else): just above it the root of the variance dominates.
    start = estimate if slack(estimate) > 0 else estimate + 1e-9
    return float(brentq(slack, start, 1.0, xtol=1e-15, rtol=1e-14, maxiter=500))


def _tango_variance(delta: float, b: int, c: int, n: int) -> float:
    """Variance of b - c where the true difference is delta, other probability at its maximum likelihood."""
    linear = -b - c + (2 * n - b + c) * delta
    root = np.sqrt(max(linear**2 + 8 * n * c * delta * (1 - delta), 0.0))
    q = (root - linear) / (4 * n)
    return float(n * (2 * q + delta * (1 - delta)))


def _binomial_p(k: int, n: int, *, midp: bool) -> float:
    """Two-sided p-value of k or fewer of n fair coins, k <= n / 2."""
    tail = 2 * float(bdtr(k, n, 0.5)) if n else 1.0
    if midp:
        tail -= float(np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * np.log(2))) if n else 0.0
    return min(tail, 1.0)
