"""Many tests, one error rate: adjusted p-values.

Hommel's come from statsmodels. Holm's and Benjamini and Hochberg's are one line each and are computed here, because a look
at a rollout must not wait for statsmodels: its import takes more than a second and its Holm forces a garbage collection.
"""

import numpy as np
from numpy.typing import ArrayLike

from sluicegate.stats import checks
from sluicegate.stats.checks import Codes, Vector


def holm(p_values: ArrayLike) -> Vector:
    """Holm's step-down adjusted p-values (family-wise error, any dependence).

    Parameters
    ----------
    p_values : array of shape (k,)
        In [0, 1]; any order.

    Returns
    -------
    array of shape (k,)
        In the order given; reject where it is <= alpha.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values, order = _ordered(p_values)
    k = values.size
    return _restore(np.maximum.accumulate(values[order] * np.arange(k, 0, -1)), order)


def hommel(p_values: ArrayLike) -> Vector:
    """Hommel's adjusted p-values (family-wise error under independence or positive dependence); never above Holm's.

    Parameters and return value as `holm`.

    References
    ----------
    Hommel 1988, Biometrika 75:383; Wright 1992, Biometrics 48:1005.
    """
    values = checks.probabilities("p_values", p_values)
    from statsmodels.stats.multitest import multipletests

    adjusted: Vector = np.asarray(multipletests(values, method="hommel")[1], dtype=np.float64)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Vector:
    """Benjamini and Hochberg's adjusted p-values (false discovery rate, independence or positive dependence).

    Parameters and return value as `holm`.

    References
    ----------
    Benjamini and Hochberg 1995, JRSS B 57:289.
    """
    values, order = _ordered(p_values)
    k = values.size
    scaled = values[order] * k / np.arange(1, k + 1)
    return _restore(np.minimum.accumulate(scaled[::-1])[::-1], order)


def harmonic_spending(look: int, looks: int) -> float:
    """Share of an error budget that test number `look` of a family of `looks` may spend.

    Proportional to 1 / look: early tests are cheap, the last one still gets more than 1 / (6 looks) up to 200 looks. The
    shares sum to 1, so the chance of one false claim among all of them is at most the budget however the tests depend on
    each other (Bonferroni's inequality); a family that is not used up has spent less.

    Parameters
    ----------
    look : int
        1 for the first test.
    looks : int
        Size of the family. After it the next family begins: look = looks + 1 has the share of look 1.

    References
    ----------
    Lan and DeMets 1983, Biometrika 70:659 (spending); Foster and Stine 2008, JRSS B 70:429 (a new budget a discovery).

    Examples
    --------
    >>> [round(harmonic_spending(look, 4), 2) for look in (1, 2, 4, 5)]
    [0.48, 0.24, 0.12, 0.48]
    """
    size = checks.whole("looks", looks, least=1)
    place = (checks.whole("look", look, least=1) - 1) % size + 1
    return float(1 / place / np.sum(1 / np.arange(1, size + 1)))


def _ordered(p_values: ArrayLike) -> tuple[Vector, Codes]:
    values = checks.probabilities("p_values", p_values)
    return values, np.argsort(values, kind="stable")


def _restore(adjusted: Vector, order: Codes) -> Vector:
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1.0)
    return result
