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
    """Weighted sum over looks of candidate's mean - champion's mean, for score and decision."""

    weight: float = 0.0
    sums: Array = field(default_factory=lambda: np.zeros(2))
    influence: Array = field(default_factory=lambda: np.zeros((2, 0)))
    """What each bucket contributed, (metric, bucket)."""


def fold(contrast: Contrast, block: Array) -> Contrast:
    """One more block of looks, (2, 7, buckets), in which both arms answered."""
    requests = block[:, REQUESTS]
    champion_n, candidate_n = requests.sum(axis=1)
    if not champion_n or not candidate_n:
        return contrast
    weight = champion_n * candidate_n / (champion_n + candidate_n)
    values = block[:, METRICS]
    sums = values.sum(axis=2)
    pooled = sums.sum(axis=0) / (champion_n + candidate_n)
    residual = values - pooled[None, :, None] * requests[:, None, :]
    influence = weight * (residual[1] / candidate_n - residual[0] / champion_n)
    before = contrast.influence if contrast.influence.size else np.zeros_like(influence)
    difference = sums[1] / candidate_n - sums[0] / champion_n
    return Contrast(contrast.weight + float(weight), contrast.sums + weight * difference, before + influence)


def difference(contrast: Contrast, metric: int) -> tuple[float, float]:
    """Difference of means and its standard error; `metric` 0 is the score, 1 the decision."""
    if not contrast.weight:
        return 0.0, inf
    influence = contrast.influence[metric]
    buckets = len(influence)
    error = float(np.sqrt(influence @ influence * buckets / (buckets - 1))) / contrast.weight
    return float(contrast.sums[metric]) / contrast.weight, error
