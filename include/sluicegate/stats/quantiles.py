"""Always-valid comparison of a quantile (a p95 latency) of two samples, without assuming a distribution."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from sluicegate.stats import checks
from sluicegate.stats.checks import Vector
from sluicegate.stats.mixtures import BetaBinomial


def quantile_ab_p_value(a: ArrayLike, b: ArrayLike, q: float, *, t_opt: float, alpha: float) -> float:
    """Always-valid p-value of "both samples have the same q-quantile".

    Parameters
    ----------
    a, b : array of shape (n,) and (m,)
        All values of the two arms so far, any unit.
    q : float
        In (0, 1), e.g. 0.95.
    t_opt : float
        Sample size per arm for which the test is tuned.
    alpha : float
        Level for which the test is tuned; the p-value is valid at every level.

    Returns
    -------
    float
        In [0, 1]. May be computed after every observation: under the null hypothesis it ever falls to p or below with
        probability at most p.

    Raises
    ------
    InputError
        NaN, an empty arm, q or alpha outside (0, 1).

    Notes
    -----
    Each arm contributes a beta-binomial e-process of its count below x; the p-value is 1 / min over x of the product.
    O((n + m) log(n + m)).

    References
    ----------
    Howard and Ramdas 2022, Bernoulli 28:1704, section 5; the authors' reference implementation.
    """
    level = checks.fraction("q", q)
    tuned = checks.number("t_opt", t_opt, above=0) * level * (1 - level)
    mixture = BetaBinomial(tuned, alpha, level, 1 - level, 2)
    arms = [_Arm(np.sort(checks.vector(name, values)), level, mixture) for name, values in (("a", a), ("b", b))]
    left, right = sorted(arms, key=lambda arm: arm.plateau[1])
    log_value = _smallest_sum(left, right)
    return float(np.exp(-max(log_value, 0.0)))


class _Arm:
    """log e-value of "the quantile is x" as a function of x: falls, is flat on the plateau, rises."""

    def __init__(self, ordered: Vector, q: float, mixture: BetaBinomial) -> None:
        self.ordered, self.q, self.mixture = ordered, q, mixture
        n = ordered.size
        self.best = _least_evidence(mixture, q, n)
        below, above = int(np.ceil(self.best * n)), int(np.floor(self.best * n)) + 1
        self.plateau = (
            float(ordered[below - 1]) if below >= 1 else -np.inf,
            float(ordered[above - 1]) if above <= n else np.inf,
        )

    def log_value(self, x: Vector) -> Vector:
        n = self.ordered.size
        falling = np.searchsorted(self.ordered, x, side="right") / n
        rising = np.searchsorted(self.ordered, x, side="left") / n
        share = np.where(x < self.plateau[0], falling, np.where(x > self.plateau[1], rising, self.best))
        return self.mixture.log_value((share - self.q) * n, np.full(x.shape, self.q * (1 - self.q) * n))


def _least_evidence(mixture: BetaBinomial, q: float, n: int) -> float:
    """The share below x that speaks least against x being the quantile; near q. The objective is convex."""
    prior_above, prior_below = mixture.r / q, mixture.r / (1 - q)
    log_odds = np.log(q) - np.log1p(-q)

    def slope(share: float) -> float:
        return float(digamma(prior_below + n * share) - digamma(prior_above + n * (1 - share)) - log_odds)

    if slope(0.0) >= 0:
        return 0.0
    if slope(1.0) <= 0:
        return 1.0
    from scipy.optimize import brentq

    return float(brentq(slope, 0.0, 1.0, xtol=1e-14))


def _smallest_sum(left: _Arm, right: _Arm) -> float:
    """Between the plateaus the left arm rises after its points and the right arm falls at its own: look only there."""
    start, end = left.plateau[1], right.plateau[0]
    if np.isinf(start):  # both plateaus reach to infinity: beyond all values both arms are at their least
        start = end = float(max(left.ordered[-1], right.ordered[-1])) + 1.0
    between = right.ordered[(right.ordered >= start) & (right.ordered <= end)]
    x = np.unique(np.concatenate(([start, max(start, end)], between)))
    return float((left.log_value(x) + right.log_value(x)).min())
