"""Difference of two arms in score and decision rate, compared inside each look and added up over looks.

So neither a change of the mix in time nor a growing weight looks like a difference; the variance is taken over user-hash buckets.
A small arm hides its variance (no decision among fifty requests has none), so it is never believed to be quieter than its
requests would be if they behaved like all requests do, the champion's clustering included.
"""

from dataclasses import dataclass, field
from math import inf, sqrt

import numpy as np

from sluicegate.gates import bounds
from sluicegate.gates.looks import DECISIONS, REQUESTS, SCORE, SCORE_SQUARE, Array

METRICS = (SCORE, DECISIONS)
SQUARES = (SCORE_SQUARE, DECISIONS)
"""Rows of the sums of squares; a decision is its own square."""
DECISION = -1
"""The decision's place among the metrics, also where a contrast holds no other."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """Weighted sum over looks of candidate's mean - champion's mean, for score and decision; leading axes are streams."""

    weight: Array = field(default_factory=lambda: np.zeros(()))
    sums: Array = field(default_factory=lambda: np.zeros(2))
    """(..., metric)."""
    noise: Array = field(default_factory=lambda: np.zeros(2))
    """Variance of the sums if all requests were independent, (..., metric)."""
    influence: Array = field(default_factory=lambda: np.zeros((2, 1)))
    """What each bucket contributed, (..., metric, bucket)."""


def fold(contrast: Contrast, block: Array, metrics: slice = slice(None)) -> Contrast:
    """One more block of looks, (..., 2 arms, 7, buckets), in which both arms answered; `metrics` are those that the contrast holds."""
    requests = block[..., REQUESTS, :]
    asked = np.maximum(np.add.reduce(requests, axis=-1), 1e-300)
    champion_n, candidate_n = asked[..., 0], asked[..., 1]
    weight = champion_n * candidate_n / (champion_n + candidate_n)
    values = block[..., METRICS[metrics], :]
    sums = np.add.reduce(values, axis=-1)
    both = (champion_n + candidate_n)[..., None]
    pooled = np.add.reduce(sums, axis=-2) / both
    spread = np.maximum(block[..., SQUARES[metrics], :].sum(axis=(-1, -3)) / both - pooled**2, 0.0)
    residual = (values - pooled[..., None, :, None] * requests[..., None, :]) / asked[..., None, None]
    influence = weight[..., None, None] * (residual[..., 1, :, :] - residual[..., 0, :, :])
    means = sums / asked[..., None]
    difference = weight[..., None] * (means[..., 1, :] - means[..., 0, :])
    return Contrast(
        contrast.weight + weight,
        contrast.sums + difference,
        contrast.noise + weight[..., None] * spread,
        contrast.influence + influence,
    )


def difference(contrast: Contrast, champion: Array, metric: int) -> tuple[Array, Array]:
    """Difference of means and its standard error.

    Parameters
    ----------
    contrast : the evidence.
    champion : the champion's arm (..., 7, buckets) over the same looks: how much its requests cluster.
    metric : DECISION, or 0 for the score.
    """
    least = contrast.noise[..., metric] * _clustering(champion, metric)
    weight = np.where(contrast.weight > 0, contrast.weight, 1.0)
    error = np.sqrt(np.maximum(_over_users(contrast, metric), least)) / weight
    return contrast.sums[..., metric] / weight, np.where(contrast.weight > 0, error, inf)


def error_of_equals(contrast: Contrast, arms: Array, metric: int) -> float:
    """Standard error of the difference if both arms were alike: what a test against any harm is due, whichever arm is the rarer.

    `arms` (2, 7, buckets) are the totals of the same looks. The spread is that of all requests together, as clustered as either
    the champion's requests are or the difference is.
    """
    weight, noise = float(contrast.weight), float(contrast.noise[metric])
    if weight <= 0 or noise <= 0:
        return inf
    count, total = arms[:, REQUESTS].sum(axis=1), arms[:, METRICS[metric]].sum(axis=1)
    own = arms[:, SQUARES[metric]].sum(axis=1) / count - (total / count) ** 2
    mean = float(total.sum() / count.sum())
    together = float(arms[:, SQUARES[metric]].sum() / count.sum()) - mean**2
    apart = float((own / count).sum()) / max(together * float((1 / count).sum()), 1e-300)
    clustering = _beyond_chance(np.array(float(_over_users(contrast, metric)) / max(noise * apart, 1e-300)), arms.shape[-1])
    return sqrt(noise * max(float(clustering), float(_clustering(arms[0], metric)))) / weight


def _over_users(contrast: Contrast, metric: int) -> Array:
    """Variance of the sum of differences over buckets."""
    influence = contrast.influence[..., metric, :]
    buckets = influence.shape[-1]
    influence = influence - influence.sum(axis=-1, keepdims=True) / buckets  # their sum is the difference itself, not its noise
    return np.asarray((influence * influence).sum(axis=-1) * buckets / max(buckets - 1, 1))


def _beyond_chance(ratio: Array, buckets: int) -> Array:
    """A ratio of variances; 1 unless it exceeds 1 by more than one and a half standard errors of a variance over so many buckets."""
    return np.asarray(np.where(ratio > 1 + 1.5 * (2 / buckets) ** 0.5, ratio, 1.0))


def _clustering(arm: Array, metric: int) -> Array:
    """Variance of an arm's mean over buckets relative to independent requests, at least 1."""
    requests, values = arm[..., REQUESTS, :], arm[..., METRICS[metric], :]
    count = np.maximum(requests.sum(axis=-1), 1.0)
    spread = arm[..., SQUARES[metric], :].sum(axis=-1) / count - (values.sum(axis=-1) / count) ** 2
    error = bounds.ratio_standard_error(values, requests)
    known = (spread > 0) & np.isfinite(error)
    ratio = np.where(known, error, 0.0) ** 2 * count / np.where(known, spread, 1.0)
    return _beyond_chance(ratio, requests.shape[-1])
