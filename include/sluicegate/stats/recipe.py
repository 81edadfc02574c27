"""Is the *recipe* better, not only this one model? Repeated splits overlap, so their differences are not independent."""

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy.special import stdtr

from sluicegate.stats import checks, normal


@dataclass(frozen=True)
class ResampledResult:
    """Mean difference over the splits and the corrected t test."""

    difference: float
    standard_error: float
    statistic: float
    p_value: float
    """One-sided: small when the candidate's recipe (positive differences) is better."""
    degrees_of_freedom: int

    @property
    def t(self) -> float:
        """Same as `statistic`."""
        return self.statistic


def corrected_resampled_t(differences: ArrayLike, n_train: int, n_test: int) -> ResampledResult:
    """Corrected resampled t test of repeated train/test splits.

    Parameters
    ----------
    differences : array of shape (k,)
        Candidate - champion on each split, higher is better; k >= 2.
    n_train, n_test : int
        Rows in the training and in the test part of a split.

    Returns
    -------
    ResampledResult
        The variance is multiplied by 1/k + n_test/n_train in place of 1/k. All differences 0 give t 0 and p 1/2; all
        equal but not 0 an infinite t.

    Raises
    ------
    InputError
        NaN, fewer than two splits, sizes below 1.

    References
    ----------
    Nadeau and Bengio 2003, Machine Learning 52:239; Bouckaert and Frank 2004 (repeated cross-validation).
    """
    values = checks.vector("differences", differences, least=2)
    train, test = checks.whole("n_train", n_train, least=1), checks.whole("n_test", n_test, least=1)
    k = values.size
    mean = float(values.mean())
    spread = float(values.var(ddof=1)) if values.min() < values.max() else 0.0
    error = math.sqrt(spread * (1 / k + test / train))
    t = normal.z_value(mean, error)
    return ResampledResult(mean, error, t, float(stdtr(k - 1, -t)), k - 1)
