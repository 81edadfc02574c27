"""Sequential multinomial test: do counts follow given shares? The sample-ratio test and, with events, the rare-event test."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlogy

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.checks import Vector


def multinomial_log_e_value(counts: ArrayLike, theta: ArrayLike, concentration: float | ArrayLike) -> float:
    """Logarithm of the Dirichlet-multinomial e-value of cumulative `counts` against shares `theta`.

    Parameters
    ----------
    counts : array of shape (k,)
        How often each category came up so far, >= 0.
    theta : array of shape (k,)
        Shares under the null hypothesis, summing to 1. A share of 0 says "never": one count there gives infinity.
    concentration : float or array of shape (k,)
        A number c mixes over Dirichlet(c theta): the larger, the smaller the deviations it is tuned to.
        A vector gives the Dirichlet parameters themselves.

    Returns
    -------
    float
        At most log(1/alpha) at all times with probability 1 - alpha under the null hypothesis.

    Raises
    ------
    InputError
        NaN, negative counts, shares that do not sum to 1, parameters that are not positive.

    References
    ----------
    Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS.
    """
    shares = _shares(theta)
    seen = checks.counts("counts", counts)
    checks.same_length(shares.size, counts=seen)
    return _log_e_value(seen, shares, _parameters(shares, concentration))


class MultinomialTest:
    """Always-valid test that counts follow the shares `theta`, fed with new counts at every look.

    Parameters
    ----------
    theta : array of shape (k,)
        Shares under the null hypothesis, summing to 1: the assignment shares for a sample-ratio test; the shares of the
        exposure when the counts are events (errors) and the null hypothesis is an equal rate in every arm.
    concentration : float or array of shape (k,)
        As in `multinomial_log_e_value`.

    Attributes
    ----------
    counts : array of shape (k,)
        All counts so far.
    log_e_value : float
        Logarithm of the e-value of these counts.
    p_value : float
        Running minimum of 1 / e-value, at most 1: may be read after every look.

    References
    ----------
    Lindon and Malek 2022.

    Examples
    --------
    >>> test = MultinomialTest([0.5, 0.5], 2)
    >>> round(test.update([8, 0]), 4)
    0.0352
    """

    def __init__(self, theta: ArrayLike, concentration: float | ArrayLike) -> None:
        self.theta = _shares(theta)
        self.parameters = _parameters(self.theta, concentration)
        self.counts = np.zeros(self.theta.size)
        self.log_e_value = 0.0
        self.p_value = 1.0

    def update(self, counts: ArrayLike) -> float:
        """Add the counts of one look (shape (k,), not cumulative) and return the always-valid p-value."""
        new = checks.counts("counts", counts)
        checks.same_length(self.theta.size, counts=new)
        self.counts = self.counts + new
        self.log_e_value = _log_e_value(self.counts, self.theta, self.parameters)
        self.p_value = min(self.p_value, float(np.exp(-max(self.log_e_value, 0.0))))
        return self.p_value


def _log_e_value(counts: Vector, theta: Vector, parameters: Vector) -> float:
    if (counts[theta == 0] > 0).any():
        return float("inf")
    possible = theta > 0
    seen, prior = counts[possible], parameters[possible]
    mixture = gammaln(prior + seen) - gammaln(prior)
    total = gammaln(prior.sum()) - gammaln(prior.sum() + seen.sum())
    return float(mixture.sum() + total - xlogy(seen, theta[possible]).sum())


def _shares(theta: ArrayLike) -> Vector:
    shares = checks.probabilities("theta", np.asarray(theta, dtype=np.float64))
    if shares.size < 2 or abs(shares.sum() - 1) > 1e-9:
        raise InputError(f"`theta` has {shares.size} shares summing to {shares.sum():.12g}: give at least two that sum to 1.")
    return shares


def _parameters(theta: Vector, concentration: float | ArrayLike) -> Vector:
    given = np.asarray(concentration, dtype=np.float64)
    parameters = given * theta if given.ndim == 0 else checks.vector("concentration", given)
    checks.same_length(theta.size, concentration=parameters)
    if not np.isfinite(parameters).all() or not (parameters[theta > 0] > 0).all():
        raise InputError(f"`concentration` is {given.tolist()}: it must be positive.")
    return parameters
