"""Area under the ROC curve of two models on the same rows: DeLong's test, and Obuchowski's where rows come in clusters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sluicegate.errors import InputError
from sluicegate.stats import checks, normal
from sluicegate.stats.checks import Codes, Labels, Vector


@dataclass(frozen=True)
class DelongResult:
    """Comparison of two AUCs; `difference` is candidate - champion."""

    auc_champion: float
    auc_candidate: float
    difference: float
    standard_error: float
    z: float
    p_value: float
    """Two-sided p-value of equal AUCs."""
    ci: tuple[float, float]
    """Confidence interval of the difference at level 1 - alpha."""


def delong_test(
    y: ArrayLike, champion: ArrayLike, candidate: ArrayLike, *, clusters: ArrayLike | None = None, alpha: float = 0.05
) -> DelongResult:
    """Compare the AUCs of two models that scored the same rows.

    Parameters
    ----------
    y : array of shape (n,)
        Labels 0 and 1, both present.
    champion, candidate : array of shape (n,)
        Scores, any unit, higher means class 1. Only their order matters; ties count one half.
    clusters : array of shape (n,), optional
        The unit that was sampled (customer, day, route) of each row, any hashable labels. Without it every row is its
        own unit, which understates the error as soon as rows of one customer resemble each other.
    alpha : float
        Two-sided level of `ci`.

    Returns
    -------
    DelongResult
        Equal rankings give difference 0, standard error 0, z 0 and p 1. Where both rankings are so extreme that the
        variance is 0 but the difference is not, z is infinite and p 0: read it as "too few rows", not as certainty.

    Raises
    ------
    InputError
        NaN, unequal lengths, labels other than 0/1, fewer than two rows (with clusters: two clusters) of a class.

    Notes
    -----
    O(n log n). The variance of the difference is computed from differences of placement values, so it is exactly 0
    for equal rankings.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837. Sun and Xu 2014, IEEE SPL 21:1389 (midranks).
    Obuchowski 1997, Biometrics 53:567 (clusters).

    Examples
    --------
    >>> delong_test([0, 0, 1, 1], [1, 3, 2, 4], [1, 2, 3, 4]).difference
    0.25
    """
    level = checks.fraction("alpha", alpha)
    positive, scores = _inputs(y, {"champion": champion, "candidate": candidate})
    sample = _Sample.of(positive, scores)
    variance = _variance(sample.contrast(np.array([[-1.0, 1.0]])), clusters)[0, 0]
    # Whole numbers of half pairs: exact, so equal rankings give exactly 0.
    difference = float(sample.pairs_won[1] - sample.pairs_won[0]) / sample.pairs
    standard_error = float(np.sqrt(max(variance, 0.0)))
    z = normal.z_value(difference, standard_error)
    reach = normal.quantile(1 - level / 2) * standard_error
    auc_champion, auc_candidate = (sample.pairs_won / sample.pairs).tolist()
    ci = (difference - reach, difference + reach)
    return DelongResult(auc_champion, auc_candidate, difference, standard_error, z, normal.two_sided(z), ci)


def delong_covariance(y: ArrayLike, scores: ArrayLike, *, clusters: ArrayLike | None = None) -> tuple[Vector, Vector]:
    """AUCs of k models on the same rows and their covariance matrix.

    Parameters
    ----------
    y : array of shape (n,)
        Labels 0 and 1, both present.
    scores : array of shape (k, n) or (n,)
        One row of scores per model, higher means class 1.
    clusters : array of shape (n,), optional
        Unit that was sampled; see `delong_test`.

    Returns
    -------
    (aucs, covariance) : arrays of shape (k,) and (k, k)

    Raises
    ------
    InputError
        As `delong_test`.

    References
    ----------
    DeLong et al. 1988; Obuchowski 1997.
    """
    rows = np.atleast_2d(np.asarray(scores))
    positive, clean = _inputs(y, {f"scores[{index}]": row for index, row in enumerate(rows)})
    sample = _Sample.of(positive, clean)
    return sample.pairs_won / sample.pairs, _variance(sample, clusters)


@dataclass(frozen=True)
class _Sample:
    """Centred placement values of k models, and the exact number of pairs each won (ties count one half)."""

    positive: Labels
    of_positives: Vector
    """Shape (k, m): share of the negatives below each positive, less the AUC."""
    of_negatives: Vector
    """Shape (k, n): share of the positives above each negative, less the AUC."""
    pairs_won: Vector
    pairs: float

    @classmethod
    def of(cls, positive: Labels, scores: list[Vector]) -> "_Sample":
        m, n = int(positive.sum()), int((~positive).sum())
        twice = [_twice_placements(row, positive, m) for row in scores]
        ups = np.array([row[positive] for row in twice], dtype=np.float64)
        downs = np.array([row[~positive] for row in twice], dtype=np.float64)
        won = ups.sum(axis=1) / 2
        auc = (won / (float(m) * n))[:, None]
        return cls(positive, ups / (2 * n) - auc, downs / (2 * m) - auc, won, float(m) * n)

    def contrast(self, weights: Vector) -> "_Sample":
        return _Sample(
            self.positive, weights @ self.of_positives, weights @ self.of_negatives, weights @ self.pairs_won, self.pairs
        )


def _inputs(y: ArrayLike, named_scores: dict[str, ArrayLike]) -> tuple[Labels, list[Vector]]:
    positive = checks.binary("y", y, both=True)
    scores = []
    for name, values in named_scores.items():
        row = checks.vector(name, values, finite=False)
        checks.same_length(positive.size, **{name: row})
        scores.append(row)
    return positive, scores


def _twice_placements(scores: Vector, positive: Labels, m: int) -> NDArray[np.int64]:
    """Twice the number of opposite rows that each row beats (ties one half), in the original order; whole numbers."""
    order = np.argsort(scores)
    ordered = scores[order]
    label = positive[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], scores.size)
    positives_until = np.concatenate(([0], np.cumsum(label, dtype=np.int64)))
    positives_around = positives_until[starts] + positives_until[ends]
    negatives_around = starts + ends - positives_around
    group = np.repeat(np.arange(starts.size), ends - starts) if starts.size < scores.size else slice(None)
    placed = np.empty(scores.size, dtype=np.int64)
    placed[order] = np.where(label, negatives_around[group], 2 * m - positives_around[group])
    return placed


def _variance(sample: _Sample, clusters: ArrayLike | None) -> Vector:
    ups, downs = sample.of_positives, sample.of_negatives
    if clusters is not None:
        codes, k = checks.cluster_codes(clusters, sample.positive.size)
        return _clustered_variance(sample, codes, k)
    m, n = ups.shape[1], downs.shape[1]
    if min(m, n) < 2:
        raise InputError(f"`y` has {m} rows of class 1 and {n} of class 0: the variance of an AUC needs two of each.")
    total: Vector = ups @ ups.T / (m * (m - 1.0)) + downs @ downs.T / (n * (n - 1.0))
    return total


def _clustered_variance(sample: _Sample, codes: Codes, k: int) -> Vector:
    """Obuchowski 1997, equations 6 to 9: sums of centred placement values per cluster."""
    positive = sample.positive
    up_codes, down_codes = codes[positive], codes[~positive]
    with_up, with_down = (int(np.count_nonzero(np.bincount(side, minlength=k))) for side in (up_codes, down_codes))
    if min(with_up, with_down) < 2:
        raise InputError(
            f"`clusters`: class 1 occurs in {with_up} and class 0 in {with_down} clusters: each must occur in at least two."
        )
    ups = np.array([checks.sums(up_codes, row, k) for row in sample.of_positives]) / up_codes.size
    downs = np.array([checks.sums(down_codes, row, k) for row in sample.of_negatives]) / down_codes.size
    cross = k / (k - 1) * (ups @ downs.T)
    own = with_up / (with_up - 1) * (ups @ ups.T) + with_down / (with_down - 1) * (downs @ downs.T)
    total: Vector = own + cross + cross.T
    return total
