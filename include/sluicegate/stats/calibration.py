"""Do probabilities mean what they say? Spiegelhalter's test and the calibration line."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sluicegate.errors import InputError
from sluicegate.stats import checks, normal
from sluicegate.stats.checks import Codes, Labels, Vector

THINNED = 25_000
"""Rows on which the fit of more than four times as many starts."""
EDGE = 1e-12
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""


@dataclass(frozen=True)
class SpiegelhalterResult:
    """`z` is positive where the model is too sure of itself, negative where it is too timid."""

    z: float
    p_value: float
    """Two-sided."""


@dataclass(frozen=True)
class CalibrationLine:
    """Fit of logit P(y = 1) = intercept + slope * logit p; perfect is 0 and 1."""

    intercept: float
    slope: float
    """Below 1: too extreme (overfitted); above 1: too timid."""
    intercept_se: float
    slope_se: float
    in_the_large: float
    """Intercept with the slope held at 1: the shift in log odds that would mend the mean."""
    in_the_large_se: float
    observed_rate: float
    mean_prediction: float


def spiegelhalter_test(y: ArrayLike, p: ArrayLike, *, clusters: ArrayLike | None = None) -> SpiegelhalterResult:
    """Test of the hypothesis that every `p` is the true probability of its `y`, from the Brier score.

    Parameters
    ----------
    y : array of shape (n,)
        Labels 0 and 1; one class alone is allowed.
    p : array of shape (n,)
        Predicted probabilities of class 1.
    clusters : array of shape (n,), optional
        Unit that was sampled. The variance is then the empirical one over clusters instead of the binomial one.

    Returns
    -------
    SpiegelhalterResult
        z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)). All p equal to 1/2 say nothing: z 0, p 1.
        A probability of exactly 0 or 1 that failed, with no variance elsewhere, gives an infinite z.

    References
    ----------
    Spiegelhalter 1986, Statistics in Medicine 5:421.

    Examples
    --------
    >>> round(spiegelhalter_test([0, 1, 1, 0], [0.2, 0.7, 0.9, 0.4]).z, 4)
    -1.005
    """
    label, predicted = _inputs(y, p)
    excess = (label - predicted) * (1 - 2 * predicted)
    if clusters is None:
        variance = float(np.sum((1 - 2 * predicted) ** 2 * predicted * (1 - predicted)))
    else:
        codes, k = checks.cluster_codes(clusters, label.size)
        sums = checks.sums(codes, excess, k)
        variance = float(sums @ sums) * k / (k - 1)
    z = normal.z_value(float(excess.sum()), float(np.sqrt(variance)))
    return SpiegelhalterResult(z, normal.two_sided(z))


def calibration_line(y: ArrayLike, p: ArrayLike, *, clusters: ArrayLike | None = None) -> CalibrationLine:
    """Cox's logistic recalibration: intercept, slope and calibration in the large, with standard errors.

    Parameters
    ----------
    y : array of shape (n,)
        Labels 0 and 1, both present.
    p : array of shape (n,)
        Predicted probabilities of class 1; not all equal.
    clusters : array of shape (n,), optional
        Unit that was sampled: standard errors become cluster-robust (sandwich).

    Returns
    -------
    CalibrationLine
        In log odds.

    Raises
    ------
    InputError
        NaN, one class only, constant predictions, or labels that a threshold on `p` separates without error
        (the maximum-likelihood slope is then infinite).

    References
    ----------
    Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC Medicine 17:230.
    """
    label, predicted = _inputs(y, p)
    checks.binary("y", y, both=True)
    clipped = np.clip(predicted, EDGE, 1 - EDGE)
    logit = np.log(clipped) - np.log1p(-clipped)
    _refuse_degenerate(label == 1, logit)
    codes = None if clusters is None else checks.cluster_codes(clusters, label.size)
    ones = np.ones_like(logit)
    line, line_se = _logistic(np.array([ones, logit]), np.zeros_like(logit), label, codes)
    shift, shift_se = _logistic(ones[None, :], logit, label, codes)
    return CalibrationLine(
        float(line[0]),
        float(line[1]),
        float(line_se[0]),
        float(line_se[1]),
        float(shift[0]),
        float(shift_se[0]),
        float(label.mean()),
        float(predicted.mean()),
    )


def _inputs(y: ArrayLike, p: ArrayLike) -> tuple[Vector, Vector]:
    label = checks.binary("y", y).astype(np.float64)
    predicted = checks.probabilities("p", p)
    checks.same_length(label.size, p=predicted)
    return label, predicted


def _refuse_degenerate(positive: Labels, logit: Vector) -> None:
    if logit.min() == logit.max():
        raise InputError(f"`p` is the same for all {logit.size} rows: a calibration line needs predictions that differ.")
    ups, downs = logit[positive], logit[~positive]
    if ups.min() >= downs.max() or ups.max() <= downs.min():
        raise InputError("`p` separates the labels without error: the calibration slope is infinite, use more rows.")


def _logistic(design: Vector, offset: Vector, label: Vector, codes: tuple[Codes, int] | None) -> tuple[Vector, Vector]:
    """Newton's method for a logistic regression with few columns; coefficients and standard errors."""
    beta = _start(design, offset, label)
    best = -np.inf
    step: Vector = np.zeros_like(beta)
    for _ in range(100):
        eta = offset + beta @ design
        likelihood = float(label @ eta - np.logaddexp(0, eta).sum())
        if likelihood < best - 1e-9 * abs(best):  # overshot: halve the step
            step = step / 2
            beta = beta - step
            continue
        best = likelihood
        fitted = _expit(eta)
        score = design @ (label - fitted)
        curvature = (design * (fitted * (1 - fitted))) @ design.T
        step = np.linalg.solve(curvature, score).astype(np.float64)
        beta = beta + step
        if np.abs(step).max() < 1e-10 * (1 + np.abs(beta).max()):
            break
    bread = np.linalg.inv(curvature)
    return beta, np.sqrt(np.diag(bread if codes is None else bread @ _meat(design, label - fitted, *codes) @ bread))


def _start(design: Vector, offset: Vector, label: Vector) -> Vector:
    """Zeros, or where there are very many rows the fit of some of them: two passes over all rows then suffice."""
    some = slice(None, None, max(1, label.size // THINNED))
    if label.size < 4 * THINNED or not 0.001 < label[some].mean() < 0.999:
        return np.zeros(design.shape[0])
    return _logistic(design[:, some], offset[some], label[some], None)[0]


def _meat(design: Vector, residual: Vector, codes: Codes, k: int) -> Vector:
    sums = np.array([checks.sums(codes, column * residual, k) for column in design])
    meat: Vector = sums @ sums.T * (k / (k - 1))
    return meat


def _expit(x: Vector) -> Vector:
    value: Vector = 0.5 * (1 + np.tanh(x / 2))
    return value
