"""What changes for people when the decision maker changes, even at equal accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sluicegate.stats import checks


@dataclass(frozen=True)
class ChurnResult:
    """Shares of all rows, except `backward_trust`."""

    churn: float
    """Decisions that differ between old and new."""
    negative_flips: float
    """Old right, new wrong."""
    positive_flips: float
    """Old wrong, new right."""
    backward_trust: float
    """Of the rows that old got right, the share that new still gets right; NaN when old got none right."""


def churn(old: ArrayLike, new: ArrayLike, y: ArrayLike) -> ChurnResult:
    """How decisions move from one model to the next.

    Parameters
    ----------
    old, new, y : array of shape (n,)
        Decisions of the champion, of the candidate, and the labels; any number of classes, coded as numbers.

    Raises
    ------
    InputError
        NaN, no rows, unequal lengths.

    References
    ----------
    Churn: Milani Fard et al. 2016, NeurIPS. Negative flips: Yan et al. 2021, CVPR.
    Backward trust compatibility: Bansal et al. 2019, AAAI.

    Examples
    --------
    >>> churn([1, 0, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]).churn
    0.5
    """
    before, after, truth = checks.vector("old", old), checks.vector("new", new), checks.vector("y", y)
    checks.same_length(truth.size, old=before, new=after)
    was_right, is_right = before == truth, after == truth
    kept = int(np.count_nonzero(was_right & is_right))
    right = int(np.count_nonzero(was_right))
    return ChurnResult(
        churn=float(np.mean(before != after)),
        negative_flips=float(np.mean(was_right & ~is_right)),
        positive_flips=float(np.mean(~was_right & is_right)),
        backward_trust=kept / right if right else float("nan"),
    )
