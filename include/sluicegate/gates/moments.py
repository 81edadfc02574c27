"""Sums over buckets, taken once a look for all rows of a table: every variance over users is a few numbers of them."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from sluicegate.gates.looks import REQUESTS, Array


@dataclass(frozen=True)
class Moments:
    """Sums over the buckets of one table, one entry a row; the first row counts the units (requests or pairs)."""

    buckets: int
    users: int
    """Buckets with a request."""
    total: list[float]
    square: list[float]
    """Of squared bucket totals."""
    cross: list[float]
    """Of bucket totals times the bucket's requests."""

    @property
    def requests(self) -> float:
        return self.total[REQUESTS]

    def mean(self, row: int) -> float:
        """Of one request; zero without requests."""
        return self.total[row] / self.requests if self.requests > 0 else 0.0

    def error(self, row: int) -> float:
        """Standard error of the mean with variance over buckets; infinite without requests."""
        return sqrt(self._residual(row)) / self.requests if self.requests > 0 else inf

    def overdispersion(self, row: int) -> float:
        """Variance of a share over buckets relative to independent events, at least 1."""
        count, requests = self.total[row], self.requests
        if count < 2 or count >= requests:
            return 1.0
        return max(1.0, self._residual(row) / (count * (1 - count / requests)))

    def _residual(self, row: int) -> float:
        """Variance of the row's total over buckets, given how much each bucket asked."""
        mean = self.mean(row)
        left = self.square[row] - 2 * mean * self.cross[row] + mean * mean * self.square[REQUESTS]
        return max(left, 0.0) * self.buckets / max(self.buckets - 1, 1)


def of(tables: Array) -> tuple[Moments, ...]:
    """Moments of each table, (tables, rows, buckets); the first row counts what the others are means of."""
    units = tables[:, REQUESTS]
    parts = np.empty((3, *tables.shape))
    parts[0] = tables
    np.multiply(tables, tables, out=parts[1])
    np.multiply(tables, units[:, None], out=parts[2])
    total, square, cross = np.add.reduce(parts, axis=-1).tolist()
    users = np.add.reduce(units > 0, axis=1).tolist()
    return tuple(Moments(tables.shape[2], *sums) for sums in zip(users, total, square, cross, strict=True))
