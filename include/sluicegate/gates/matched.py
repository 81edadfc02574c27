"""Means of two arms, compared inside each block of looks and added up: a change of the mix in time is nobody's difference.

Each block counts by its weight n m / (n + m) for n and m requests; both arms' means are averaged with the same weights.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from sluicegate.gates import blocks
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.looks import Array
from sluicegate.gates.records import changed

FEW_BUCKETS = 20
"""With the candidate's users in fewer buckets the variance is not known well enough for any verdict."""


@dataclass(frozen=True)
class Means:
    """One metric of both arms."""

    champion: float
    candidate: float
    error: float
    """Standard error of candidate - scale * champion, the larger of users and time; infinite when too few were seen."""
    scale: float
    """The ratio of the means for a relative metric, else 1."""


@dataclass(frozen=True, eq=False)
class Matched:
    """Weighted sums of some metrics over the blocks of a stage, and what they say."""

    relative: tuple[bool, ...]
    """Of each metric: whether the arms' ratio is in question, not their difference."""
    units: Array
    """Weighted requests by arm and bucket, (2, buckets)."""
    values: Array
    """Weighted sums of each metric by arm and bucket, (metrics, 2, buckets)."""
    in_time: Blocks
    """Weight, then champion's weighted mean of each metric, then the candidate's."""
    means: tuple[Means, ...] = ()
    """One a metric; none without evidence."""


def nothing(relative: tuple[bool, ...]) -> Matched:
    """No evidence on so many metrics."""
    metrics = len(relative)
    return Matched(relative, np.zeros((2, 1)), np.zeros((metrics, 2, 1)), Blocks(np.zeros((0, 1 + 2 * metrics))))


def fold(matched: Matched, requests: Array, values: Array) -> Matched:
    """One more block: requests (2, buckets), values (metrics, 2, buckets); a block in which one arm was not asked tells nothing."""
    champion, candidate = np.add.reduce(requests, axis=1).tolist()
    if min(champion, candidate) <= 0:
        return matched
    weight = champion * candidate / (champion + candidate)
    part = np.array([[weight / champion], [weight / candidate]])
    weighted = values * part
    look = np.concatenate(([weight], np.add.reduce(weighted, axis=2).T.ravel()))
    grown = Matched(
        matched.relative, matched.units + requests * part, matched.values + weighted, blocks.push(matched.in_time, look)
    )
    return changed(grown, means=measured(grown))


def measured(matched: Matched) -> tuple[Means, ...]:
    """All metrics at once, (metrics, ...) in every array."""
    track, metrics = matched.in_time.sums, len(matched.relative)
    total = np.add.reduce(track, axis=0)
    weight = float(total[0])
    both = total[1:].reshape(2, metrics).T / weight
    scale = np.array([_ratio(*mean) if asked else 1.0 for mean, asked in zip(both.tolist(), matched.relative, strict=True)])
    own = matched.values - both[:, :, None] * matched.units
    influence = own[:, 1] - scale[:, None] * own[:, 0]
    buckets = influence.shape[1]
    over_users = np.add.reduce(influence * influence, axis=1) * buckets / max(buckets - 1, 1)
    apart = track[:, 1 + metrics :] - scale * track[:, 1 : 1 + metrics]
    residual = apart - track[:, :1] * (np.add.reduce(apart, axis=0) / weight)
    over_time = blocks.errors_of(residual) ** 2
    few = int((matched.units[1] > 0).sum()) < FEW_BUCKETS
    errors = [inf if few else sqrt(value) / weight for value in np.maximum(over_users, over_time).tolist()]
    told = zip(both.tolist(), errors, scale.tolist(), strict=True)
    return tuple(Means(champion, candidate, error, ratio) for (champion, candidate), error, ratio in told)


def _ratio(champion: float, candidate: float) -> float:
    return candidate / champion if champion else 0.0
