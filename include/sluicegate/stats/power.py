"""How much data decides: to be asked before training, and printed with every inconclusive verdict."""

import math

from sluicegate.errors import InputError
from sluicegate.stats import checks, normal


def hanley_mcneil_se(auc: float, n_positive: float, n_negative: float) -> float:
    """Standard error of an AUC expected from its value and the class counts alone.

    Parameters
    ----------
    auc : float
        In [0, 1].
    n_positive, n_negative : float
        Rows of each class, >= 1.

    References
    ----------
    Hanley and McNeil 1982, Radiology 143:29.

    Examples
    --------
    >>> round(hanley_mcneil_se(0.893, 51, 58), 4)
    0.0325
    """
    area = checks.number("auc", auc, least=0)
    if area > 1:
        raise InputError(f"`auc` is {auc}: it lies in [0, 1].")
    m, n = checks.number("n_positive", n_positive, least=1), checks.number("n_negative", n_negative, least=1)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)
    return math.sqrt(max(variance, 0.0) / (m * n))


def minimum_detectable_effect(standard_error: float, *, alpha: float = 0.05, power: float = 0.8, sides: int = 2) -> float:
    """Smallest true difference that a test with this standard error finds with probability `power`.

    (z_{1 - alpha/sides} + z_power) * standard_error, in the unit of the standard error.
    """
    error = checks.number("standard_error", standard_error, least=0)
    if sides not in (1, 2):
        raise InputError(f"`sides` is {sides}: it must be 1 or 2.")
    critical = normal.quantile(1 - checks.fraction("alpha", alpha) / sides)
    return (critical + normal.quantile(checks.fraction("power", power))) * error


def auc_mde(
    auc: float, n_positive: float, n_negative: float, *, correlation: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Minimum detectable difference between the AUCs of two models on the same rows.

    Parameters
    ----------
    auc : float
        Expected AUC of the champion.
    n_positive, n_negative : float
        Rows of each class; for clustered rows the effective numbers (rows / design effect).
    correlation : float
        Correlation of the two AUC estimates in [-1, 1); 0 is the safe choice, retrained models have 0.8 and more.
    alpha, power : float
        Two-sided level, and the chance to find it.

    Returns
    -------
    float
        In units of AUC.

    References
    ----------
    Hanley and McNeil 1983, Radiology 148:839.
    """
    if not -1 <= correlation < 1:
        raise InputError(f"`correlation` is {correlation}: it lies in [-1, 1).")
    error = hanley_mcneil_se(auc, n_positive, n_negative) * math.sqrt(2 * (1 - correlation))
    return minimum_detectable_effect(error, alpha=alpha, power=power)


def mcnemar_sample_size(p10: float, p01: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs needed for McNemar's test.

    Parameters
    ----------
    p10, p01 : float
        Expected shares of the two kinds of discordant pairs; different, sum at most 1.
    alpha, power : float
        Two-sided level, and the chance to find the difference.

    References
    ----------
    Connor 1987, Biometrics 43:207.

    Examples
    --------
    >>> mcnemar_sample_size(0.05, 0.45)
    23
    """
    one, other = checks.number("p10", p10, least=0), checks.number("p01", p01, least=0)
    discordant, gap = one + other, other - one
    if discordant > 1 or gap == 0:
        raise InputError(f"`p10` {p10} and `p01` {p01}: they must differ and sum to at most 1.")
    critical = normal.quantile(1 - checks.fraction("alpha", alpha) / 2) * math.sqrt(discordant)
    reserve = normal.quantile(checks.fraction("power", power)) * math.sqrt(discordant - gap**2)
    return math.ceil(((critical + reserve) / gap) ** 2)
