"""Means of two arms, compared inside each block of looks and added up: a change of the mix in time is nobody's difference.

Each block counts by its weight n m / (n + m) for n and m requests; both arms' means are averaged with the same weights.
"""

from dataclasses import dataclass, field
from math import inf, sqrt

import numpy as np

from sluicegate.gates import blocks
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.looks import Array

FEW_BUCKETS = 20
"""With the candidate's users in fewer buckets the variance is not known well enough for any verdict."""


@dataclass(frozen=True, eq=False)
class Matched:
    """Weighted sums of so many metrics over the blocks of a stage."""

    units: Array
    """Weighted requests by arm and bucket, (2, buckets)."""
    values: Array
    """Weighted sums of each metric by arm and bucket, (metrics, 2, buckets)."""
    in_time: Blocks = field(default_factory=Blocks)
    """Weight, then champion's and candidate's weighted mean of each metric."""


@dataclass(frozen=True)
class Means:
    """One metric of both arms."""

    champion: float
    candidate: float
    error: float
    """Standard error of candidate - scale * champion, the larger of users and time; infinite when too few were seen."""
    scale: float


def nothing(metrics: int) -> Matched:
    """No evidence on so many metrics."""
    return Matched(np.zeros((2, 1)), np.zeros((metrics, 2, 1)), Blocks(np.zeros((0, 1 + 2 * metrics))))


def fold(matched: Matched, requests: Array, values: Array) -> Matched:
    """One more block: requests (2, buckets), values (metrics, 2, buckets); a block in which one arm was not asked tells nothing."""
    asked = requests.sum(axis=1)
    both = float(asked[0]), float(asked[1])
    if min(both) <= 0:
        return matched
    weight = both[0] * both[1] / (both[0] + both[1])
    part = (weight / asked)[:, None]
    weighted = values * part
    look = np.concatenate(([weight], weighted.sum(axis=2).ravel()))
    return Matched(matched.units + requests * part, matched.values + weighted, blocks.push(matched.in_time, look))


def means(matched: Matched, metric: int, *, relative: bool) -> Means | None:
    """Both arms' means of a metric; `relative` weighs the champion by the ratio of the means, else by 1. None without evidence."""
    sums = matched.in_time.sums.sum(axis=0).tolist()
    if not sums[0]:
        return None
    champion, candidate = sums[1 + 2 * metric] / sums[0], sums[2 + 2 * metric] / sums[0]
    scale = (candidate / champion if champion else 0.0) if relative else 1.0
    own = matched.values[metric] - np.array([[champion], [candidate]]) * matched.units
    influence = own[1] - scale * own[0]
    buckets = influence.shape[0]
    over_users = sqrt(float((influence * influence).sum()) * buckets / max(buckets - 1, 1)) / sums[0]
    track = matched.in_time.sums
    series = track[:, 2 + 2 * metric] - scale * track[:, 1 + 2 * metric]
    over_time = blocks.error_of(series - series.sum() / sums[0] * track[:, 0]) / sums[0]
    few = int((matched.units[1] > 0).sum()) < FEW_BUCKETS
    return Means(champion, candidate, inf if few else max(over_users, over_time), scale)
