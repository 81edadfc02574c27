"""Non-inferiority, then superiority: one closed test, one alpha."""

from dataclasses import dataclass

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
    level = checks.fraction("alpha", alpha)
    difference = checks.number("difference", difference)
    standard_error = checks.number("standard_error", standard_error, least=0)
    margin = checks.number("margin", margin, least=0)
    if level >= 0.5:
        raise InputError(f"`alpha` is {alpha}: a one-sided level must be below 0.5.")
    p_value = _one_sided(difference + margin, standard_error)
    p_superior = _one_sided(difference, standard_error)
    reach = normal.quantile(1 - level) * standard_error
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


def _one_sided(excess: float, standard_error: float) -> float:
    if standard_error == 0 and excess == 0:
        return 1.0  # exactly on the edge of the hypothesis: never evidence
    return normal.upper_tail(normal.z_value(excess, standard_error))
