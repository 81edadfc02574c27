"""Non-inferiority, then superiority: one closed test, one alpha."""

import math
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from sluicegate.errors import InputError
from sluicegate.stats import checks, normal


@dataclass(frozen=True)
class NonInferiorityResult:
    """What a difference (candidate - champion, higher is better) says against a margin."""

    difference: float
    standard_error: float
    margin: float
    p_value: float
    """One-sided p-value of "worse by the margin or more": small means non-inferior."""
    p_superior: float
    """One-sided p-value of "not better at all"; counts only once non-inferiority is shown."""
    lower_bound: float
    """One-sided lower confidence bound of the difference at level 1 - alpha."""
    upper_bound: float
    """One-sided upper confidence bound of the difference at level 1 - alpha; below -margin means harm beyond the margin."""
    non_inferior: bool
    superior: bool
    harmful: bool
    """The upper bound is below zero: the candidate is worse, by however little."""


def non_inferiority(difference: float, standard_error: float, margin: float, alpha: float = 0.05) -> NonInferiorityResult:
    """Closed test: is the candidate at most `margin` worse, and if so, is it better?

    Parameters
    ----------
    difference, standard_error : float
        Candidate - champion, oriented so that higher is better, and its standard error; same unit as `margin`.
    margin : float
        What we accept to lose, >= 0.
    alpha : float
        One-sided level of each test. No correction is needed: superiority is asked only after non-inferiority.

    Raises
    ------
    InputError
        A number that is not finite, or a negative margin or standard error.

    Notes
    -----
    With a standard error of 0 the difference is taken as known.

    References
    ----------
    Closed testing: Marcus, Peritz and Gabriel 1976; switching without penalty: Morikawa and Yoshida 1995; CPMP 2000.

    Examples
    --------
    >>> non_inferiority(0.01, 0.01, 0.02).non_inferior
    True
    """
    return closed_test(difference, standard_error, margin, alpha, degrees_of_freedom=float("inf"))


def closed_test(
    difference: float, standard_error: float, margin: float, alpha: float, *, degrees_of_freedom: float
) -> NonInferiorityResult:
    """`non_inferiority` with Student's t in place of the normal distribution.

    Where a standard error is estimated from few clusters the normal distribution promises too much, the more so the smaller
    alpha is: with 60 clusters, at one in two thousand, it errs nearly twice as often.

    Parameters
    ----------
    difference, standard_error, margin, alpha : float
        As `non_inferiority`.
    degrees_of_freedom : float
        Clusters - 1; infinity is the normal distribution.

    References
    ----------
    Donald and Lang 2007, Review of Economics and Statistics 89:221 (t with the number of clusters).
    """
    level = checks.fraction("alpha", alpha)
    difference = checks.number("difference", difference)
    standard_error = checks.number("standard_error", standard_error, least=0)
    margin = checks.number("margin", margin, least=0)
    if level >= 0.5:
        raise InputError(f"`alpha` is {alpha}: a one-sided level must be below 0.5.")
    if not degrees_of_freedom > 0:
        raise InputError(f"`degrees_of_freedom` is {degrees_of_freedom}: at least two clusters are needed.")
    p_value = _one_sided(difference + margin, standard_error, degrees_of_freedom)
    p_superior = _one_sided(difference, standard_error, degrees_of_freedom)
    reach = _critical(level, degrees_of_freedom) * standard_error
    lower, upper = difference - reach, difference + reach
    non_inferior = p_value <= level
    return NonInferiorityResult(
        difference,
        standard_error,
        margin,
        p_value,
        p_superior,
        lower,
        upper,
        non_inferior=non_inferior,
        superior=non_inferior and p_superior <= level,
        harmful=upper < 0,
    )


def _critical(level: float, degrees_of_freedom: float) -> float:
    return normal.quantile(1 - level) if math.isinf(degrees_of_freedom) else float(stdtrit(degrees_of_freedom, 1 - level))


def _one_sided(excess: float, standard_error: float, degrees_of_freedom: float) -> float:
    if standard_error == 0 and excess == 0:
        return 1.0  # exactly on the edge of the hypothesis: never evidence
    z = normal.z_value(excess, standard_error)
    return normal.upper_tail(z) if math.isinf(degrees_of_freedom) else float(stdtr(degrees_of_freedom, -z))
