"""Many tests, one error rate: adjusted p-values, through statsmodels."""

import numpy as np
from numpy.typing import ArrayLike

from sluicegate.stats import checks
from sluicegate.stats.checks import Vector


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
    return _adjusted(p_values, "holm")


def hommel(p_values: ArrayLike) -> Vector:
    """Hommel's adjusted p-values (family-wise error under independence or positive dependence); never above Holm's.

    Parameters and return value as `holm`.

    References
    ----------
    Hommel 1988, Biometrika 75:383; Wright 1992, Biometrics 48:1005.
    """
    return _adjusted(p_values, "hommel")


def benjamini_hochberg(p_values: ArrayLike) -> Vector:
    """Benjamini and Hochberg's adjusted p-values (false discovery rate, independence or positive dependence).

    Parameters and return value as `holm`.

    References
    ----------
    Benjamini and Hochberg 1995, JRSS B 57:289.
    """
    return _adjusted(p_values, "fdr_bh")


def _adjusted(p_values: ArrayLike, method: str) -> Vector:
    values = checks.probabilities("p_values", p_values)
    from statsmodels.stats.multitest import multipletests

    adjusted: Vector = np.asarray(multipletests(values, method=method)[1], dtype=np.float64)
    return adjusted
