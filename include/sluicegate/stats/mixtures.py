"""Mixture supermartingales: boundaries that a running sum crosses with probability at most alpha, however often we look.

`s` is the running sum (observed less expected), `v` its variance process ("intrinsic time"), both in the units of the
caller. The value is the logarithm of an e-process: under the null hypothesis it exceeds log(1/alpha) at any time with
probability at most alpha. All functions broadcast; scalars in, float out.

Source: Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of Statistics 49:1055 (propositions 5 to 7), and the authors'
reference implementation, whose conventions are kept.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln, log_ndtr

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.checks import Vector


def best_rho(v_opt: float, alpha: float) -> float:
    """Mixture variance for which the two-sided normal boundary is (nearly) tightest at intrinsic time `v_opt`.

    rho = v_opt / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha))). The one-sided mixture uses `best_rho(v_opt, 2 * alpha)`.

    Parameters
    ----------
    v_opt : float
        Intrinsic time (> 0) at which the boundary should be tightest, e.g. the information at which a margin is decided.
    alpha : float
        Error probability in (0, 1).

    Examples
    --------
    >>> round(best_rho(100, 0.05), 5)
    12.60056
    """
    checks.number("v_opt", v_opt, above=0)
    twice = -2 * np.log(checks.fraction("alpha", alpha))
    return float(v_opt / (twice + np.log1p(twice)))


def normal_mixture_log_value(s: ArrayLike, v: ArrayLike, *, v_opt: float, alpha: float, sides: int = 2) -> float | Vector:
    """Logarithm of the normal-mixture e-process at sum `s` and intrinsic time `v`.

    Parameters
    ----------
    s, v : float or array
        Running sum and its variance (v >= 0), broadcast against each other.
    v_opt, alpha : float
        What rho is tuned to; see `best_rho`.
    sides : {1, 2}
        1: only large positive sums are evidence (half-normal mixture).

    Returns
    -------
    float or array
    """
    rho = _rho(v_opt, alpha, sides)
    total, time = _finite("s", s), _times(v)
    spread = time + rho
    value = np.log(rho / spread) / 2 + total * total / (2 * spread)
    if sides == 1:
        value = value + np.log(2) + log_ndtr(total / np.sqrt(spread))
    return _out(value)


def normal_mixture_bound(v: ArrayLike, *, v_opt: float, alpha: float, sides: int = 2) -> float | Vector:
    """The sum at which the normal-mixture e-process reaches 1/alpha at intrinsic time `v`.

    Two-sided: sqrt((v + rho) ln((v + rho) / (rho alpha^2))). With information V = 1/se^2 as intrinsic time and d V as
    sum, a difference d is decided once |d V| exceeds this.

    Parameters
    ----------
    v : float or array
        Intrinsic time, >= 0.
    v_opt, alpha : float
        What rho is tuned to; alpha is also the crossing probability.
    sides : {1, 2}

    Returns
    -------
    float or array
        Same unit as the sum, > 0.
    """
    rho = _rho(v_opt, alpha, sides)
    spread = _times(v) + rho
    log_threshold = -np.log(alpha)
    if sides == 2:
        return _out(np.sqrt(spread * (np.log(spread / rho) + 2 * log_threshold)))
    return _out(np.sqrt(spread) * _half_normal_root(log_threshold - np.log(2) + np.log(spread / rho) / 2))


def beta_binomial_log_value(
    s: ArrayLike, v: ArrayLike, *, v_opt: float, alpha: float, g: float, h: float, sides: int = 2
) -> float | Vector:
    """Logarithm of the beta-binomial-mixture e-process for sums of values in [-g, h] of mean 0.

    For Bernoulli trials with null probability p: g = p, h = 1 - p, s = successes - n p, v = n g h. Exact at any count.

    Parameters
    ----------
    s, v : float or array
        Running sum and intrinsic time (v = g h n for n trials); -v/h <= s <= v/g.
    v_opt, alpha : float
        What the mixture is tuned to; see `best_rho`.
    g, h : float
        Largest fall and rise of one step, > 0.
    sides : {1, 2}

    Raises
    ------
    InputError
        A sum that no path of steps in [-g, h] can reach.
    """
    mixture = BetaBinomial(v_opt, alpha, g, h, sides)
    total, time = np.broadcast_arrays(_finite("s", s), _times(v))
    slack = 1e-9 * (1 + time)
    if (total > time / g + slack).any() or (total < -time / h - slack).any():
        raise InputError(f"`s` leaves [-v/h, v/g]: no sum of steps in [-{g:g}, {h:g}] can do that, check g, h and v.")
    return _out(mixture.log_value(np.clip(total, -time / h, time / g), time))


def beta_binomial_bound(v: ArrayLike, *, v_opt: float, alpha: float, g: float, h: float, sides: int = 2) -> float | Vector:
    """The sum at which the beta-binomial e-process reaches 1/alpha at intrinsic time `v`, or v/g where no sum does.

    Parameters as `beta_binomial_log_value`; the value has the unit of the sum.
    """
    mixture = BetaBinomial(v_opt, alpha, g, h, sides)
    time = _times(v)
    log_threshold = -np.log(alpha)
    top = time / g
    root = _bisect(lambda s: mixture.log_value(s, time) - log_threshold, np.zeros_like(top), top)
    return _out(np.where(mixture.log_value(top, time) < log_threshold, top, root))


class BetaBinomial:
    def __init__(self, v_opt: float, alpha: float, g: float, h: float, sides: int) -> None:
        self.g, self.h = checks.number("g", g, above=0), checks.number("h", h, above=0)
        # The mixing beta distribution has variance rho only up to g*h; the floor keeps it proper for tiny v_opt.
        self.r = max(_rho(v_opt, alpha, sides) - g * h, 1e-3 * g * h)
        self.x = 1.0 if sides == 2 else h / (g + h)
        self.normalizer = _log_incomplete_beta(self.r / (g * (g + h)), self.r / (h * (g + h)), self.x)

    def log_value(self, s: Vector, v: Vector) -> Vector:
        g, h, width = self.g, self.h, self.g + self.h
        rises, falls = (v + h * s) / (h * width), (v - g * s) / (g * width)
        ahead = self.r / (g * width) + falls, self.r / (h * width) + rises
        log_null = v / (g * h) * np.log(width) - rises * np.log(g) - falls * np.log(h)
        value: Vector = log_null + _log_incomplete_beta(*ahead, self.x) - self.normalizer
        return value


def _log_incomplete_beta(a: ArrayLike, b: ArrayLike, x: float) -> Vector:
    """log of the unnormalised incomplete beta function, also where the regularised one underflows."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    value: Vector = betaln(a, b)
    if x == 1:
        return value
    share = betainc(a, b, x)
    tiny = share < 1e-280
    with np.errstate(divide="ignore"):
        value = value + np.log(share)
    if tiny.any():
        value = np.where(tiny, _log_beta_tail(a, b, x), value)
    return value


def _log_beta_tail(a: Vector, b: Vector, x: float) -> Vector:
    """log B(a, b, x) far below the mean: x^a (1-x)^b / a times a series whose terms shrink geometrically."""
    term, total = np.ones_like(a), np.ones_like(a)
    for k in range(1, 20_000):
        term = np.minimum(term * (a + b + k - 1) / (a + k) * x, 1.0)
        total = total + term
        if (term < 1e-17 * total).all():
            break
    tail: Vector = a * np.log(x) + b * np.log1p(-x) - np.log(a) + np.log(total)
    return tail


def _half_normal_root(level: Vector) -> Vector:
    """x with x^2/2 + log Phi(x) = level, for level >= log(1/2): Newton from above on a convex, rising function."""
    x: Vector = np.sqrt(2 * (level + np.log(2)))
    for _ in range(60):
        log_phi = log_ndtr(x)
        slope = x + np.exp(-x * x / 2 - log_phi) / np.sqrt(2 * np.pi)
        step = (x * x / 2 + log_phi - level) / slope
        x = x - step
        if (np.abs(step) <= 1e-15 * (1 + x)).all():
            break
    return x


def _bisect(excess: Callable[[Vector], Vector], low: Vector, high: Vector) -> Vector:
    for _ in range(80):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _rho(v_opt: float, alpha: float, sides: int) -> float:
    if sides not in (1, 2):
        raise InputError(f"`sides` is {sides}: it must be 1 or 2.")
    if sides == 1 and alpha >= 0.5:
        raise InputError(f"`alpha` is {alpha}: a one-sided boundary needs alpha below 0.5.")
    return best_rho(v_opt, alpha if sides == 2 else 2 * alpha)


def _finite(name: str, values: ArrayLike) -> Vector:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"`{name}` holds a value that is NaN or infinite: leave this look out, it is no evidence.")
    return array


def _times(v: ArrayLike) -> Vector:
    time = _finite("v", v)
    if (time < 0).any():
        raise InputError(f"`v` holds {time.min():g}: intrinsic time is 0 or more.")
    return time


def _out(value: Vector) -> float | Vector:
    return float(value) if np.ndim(value) == 0 else value
