"""Difference of two arms in score and decision rate, compared inside each look and added up over looks.

So neither a change of the mix in time nor a growing weight looks like a difference; the variance is taken over user-hash buckets.
"""

from dataclasses import dataclass, field
from math import inf

import numpy as np

from sluicegate.gates.looks import DECISIONS, REQUESTS, SCORE, Array

METRICS = (SCORE, DECISIONS)


@dataclass(frozen=True, eq=False)
class Contrast:
    """Weighted sum over looks of candidate's mean - champion's mean, for score and decision; leading axes are streams."""

    weight: Array = field(default_factory=lambda: np.zeros(()))
    sums: Array = field(default_factory=lambda: np.zeros(2))
    """(..., metric)."""
    influence: Array = field(default_factory=lambda: np.zeros((2, 1)))
    """What each bucket contributed, (..., metric, bucket)."""


def fold(contrast: Contrast, block: Array) -> Contrast:
    """One more block of looks, (..., 2 arms, 7, buckets), in which both arms answered."""
    requests = block[..., REQUESTS, :]
    asked = np.maximum(requests.sum(axis=-1), 1e-300)
    champion_n, candidate_n = asked[..., 0], asked[..., 1]
    weight = champion_n * candidate_n / (champion_n + candidate_n)
    values = block[..., METRICS, :]
    sums = values.sum(axis=-1)
    pooled = sums.sum(axis=-2) / (champion_n + candidate_n)[..., None]
    residual = (values - pooled[..., None, :, None] * requests[..., None, :]) / asked[..., None, None]
    influence = weight[..., None, None] * (residual[..., 1, :, :] - residual[..., 0, :, :])
    means = sums / asked[..., None]
    difference = weight[..., None] * (means[..., 1, :] - means[..., 0, :])
    return Contrast(contrast.weight + weight, contrast.sums + difference, contrast.influence + influence)


def difference(contrast: Contrast, metric: int) -> tuple[Array, Array]:
    """Difference of means and its standard error; `metric` 0 is the score, 1 the decision."""
    influence = contrast.influence[..., metric, :]
    buckets = influence.shape[-1]
    weight = np.where(contrast.weight > 0, contrast.weight, 1.0)
    error = np.sqrt((influence * influence).sum(axis=-1) * buckets / max(buckets - 1, 1)) / weight
    return contrast.sums[..., metric] / weight, np.where(contrast.weight > 0, error, inf)
