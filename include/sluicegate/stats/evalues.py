"""E-values of paired decisions: evidence that may be read after every pair."""

import numpy as np
from scipy.special import betaln

from sluicegate.stats import checks


def mcnemar_log_e_value(b: int, c: int) -> float:
    """Logarithm of `mcnemar_e_value`; never overflows."""
    b, c = checks.whole("b", b), checks.whole("c", c)
    return float(betaln(1 + b, 1 + c) + (b + c) * np.log(2))


def mcnemar_e_value(b: int, c: int) -> float:
    """E-value of b against c discordant pairs: B(1 + b, 1 + c) 2^(b + c), symmetric in b and c.

    Under "either kind is equally likely" it exceeds 1/alpha at any time with probability at most alpha, so flips may be
    watched pair by pair.

    Parameters
    ----------
    b, c : int
        Discordant pairs of either kind so far, >= 0.

    Returns
    -------
    float
        1 for no pairs; infinity beyond the range of a float (see `mcnemar_log_e_value`).

    References
    ----------
    Uniform mixture of the binomial likelihood: Robbins 1970; Ramdas, Grünwald, Vovk and Shafer 2023.

    Examples
    --------
    >>> round(mcnemar_e_value(25, 15), 8)
    0.6666781
    """
    with np.errstate(over="ignore"):
        return float(np.exp(mcnemar_log_e_value(b, c)))
