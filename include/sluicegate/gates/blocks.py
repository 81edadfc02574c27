"""Variance over time: requests of one hour share its weather, whoever asks, so looks next to each other are not independent.

Batch means: looks are gathered into blocks; when there are too many, neighbours are joined and blocks become twice as long. So
blocks grow with the stage and outlast the memory of whatever moves the scores, at constant cost.
"""

from dataclasses import dataclass, field
from math import inf, sqrt

import numpy as np

from sluicegate.gates.looks import Array

MOST = 32
"""Blocks after which neighbours are joined."""
LEAST = 6
"""Blocks below which the variance over time is not known, and nothing is decided."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Sums per block of looks; the first column is the weight (units), the others are totals of what is averaged."""

    sums: Array = field(default_factory=lambda: np.zeros((0, 3)))
    length: int = 1
    """Looks in a full block."""
    open_looks: int = 0
    """Looks in the last block; 0 when it is full."""


def push(blocks: Blocks, look: Array) -> Blocks:
    """One more look, (columns,); a look without weight is no look."""
    if look[0] <= 0:
        return blocks
    if blocks.open_looks:
        sums = blocks.sums.copy()
        sums[-1] += look
        return Blocks(sums, blocks.length, (blocks.open_looks + 1) % blocks.length)
    if len(blocks.sums) < MOST:
        return Blocks(np.vstack([blocks.sums, look]), blocks.length, 1 % blocks.length)
    joined = blocks.sums.reshape(MOST // 2, 2, -1).sum(axis=1)
    return Blocks(np.vstack([joined, look]), 2 * blocks.length, 1)


def standard_error(blocks: Blocks, column: int) -> float:
    """Standard error of sum(column) / sum(weight) with variance over blocks; infinite below LEAST blocks."""
    if len(blocks.sums) < LEAST:
        return inf
    weight, total = blocks.sums[:, 0], blocks.sums[:, column]
    asked = max(float(np.add.reduce(weight)), 1e-300)
    return float(errors_of(total - float(np.add.reduce(total)) / asked * weight)) / asked


def errors_of(residual: Array) -> Array:
    """Standard errors of the sums of what each block leaves unexplained, (blocks, ...); infinite below LEAST blocks.

    The factor T / (T - 3) is what a variance of T blocks needs to be right on average in the denominator of a t statistic.
    """
    count = len(residual)
    if count < LEAST:
        return np.full(residual.shape[1:], inf)
    return np.asarray(np.sqrt(np.add.reduce(residual * residual, axis=0) * count / (count - 3)))


def excess(over_users: float, over_time: float, blocks: Blocks) -> float:
    """By how much the standard error over time exceeds that over users; 1 where so few blocks make the excess likely by chance.

    For differences of arms inside a block: what moves both arms in time is not in them, so most excess is chance (one and a half
    standard errors of a variance are let pass), and the plain maximum of two estimates would ask for a fifth more requests.
    """
    count = len(blocks.sums)
    if count < LEAST or not 0 < over_users < inf:
        return inf
    ratio = over_time / over_users
    chance = (count - 1) / (count - 3) * (1 + 1.5 * sqrt(2 / (count - 1)))  # the first factor is what errors_of adds on average
    return ratio if ratio * ratio > chance else 1.0
