"""Both models' scores on the same labelled rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluicegate.actions.holdout.labelled import Labelled
from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import RefusedError

Vector = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Scored:
    """Rows with their truth and both scores; what a metric is computed from."""

    y: Vector
    champion: Vector
    candidate: Vector
    clusters: Codes
    """Unit of each row as a number: rows of one unit move together."""
    weights: Vector | None = None
    """How many rows of the population each row stands for; None: all the same."""

    def __len__(self) -> int:
        return int(self.y.size)

    @cached_property
    def units(self) -> int:
        """How many clusters there are."""
        return int(np.count_nonzero(np.bincount(self.clusters)))

    def where(self, chosen: NDArray[np.bool_]) -> "Scored":
        """These rows alone."""
        rows = np.flatnonzero(chosen)
        weights = None if self.weights is None else self.weights[rows]
        return Scored(self.y[rows], self.champion[rows], self.candidate[rows], self.clusters[rows], weights)


@dataclass(frozen=True)
class Paired:
    """The holdout in order of time, with both models' scores and thresholds."""

    scored: Scored
    holdout: Labelled
    threshold: float
    """The candidate's: its decision is positive at or above it."""
    champion_threshold: float

    @property
    def decided_champion(self) -> NDArray[np.bool_]:
        decided: NDArray[np.bool_] = self.scored.champion >= self.champion_threshold
        return decided

    @property
    def decided_candidate(self) -> NDArray[np.bool_]:
        decided: NDArray[np.bool_] = self.scored.candidate >= self.threshold
        return decided


def clusters_of(holdout: Labelled, spec: ModelSpec) -> Codes:
    """Values of comparison.cluster, the user id by default, numbered in order of appearance."""
    return codes_of(holdout.columns[spec.comparison.cluster or spec.data.user_id])


def weights_of(holdout: Labelled, spec: ModelSpec) -> Vector | None:
    """Values of comparison.weight; a row without one counts 0."""
    field = spec.comparison.weight
    if field is None:
        return None
    weights = np.asarray([0.0 if v is None else v for v in holdout.columns[field]], dtype=np.float64)
    if weights.min() < 0 or not weights.any():
        raise RefusedError(
            f"comparison.weight names '{field}', which ranges from {weights.min():g} to {weights.max():g} in the holdout: a row "
            "stands for a number of rows above 0, or for none"
        )
    return weights


def codes_of(values: Sequence[Any]) -> Codes:
    """Equal values, equal numbers 0, 1, …; compared as text."""
    try:
        text = pa.array(values, pa.large_string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # not all of them are text
        text = pa.array([str(v) for v in values], pa.large_string())
    return np.asarray(text.fill_null("").dictionary_encode().indices, dtype=np.intp)


def mean_error(values: Vector, clusters: Codes) -> float:
    """Standard error of a mean whose rows move together within clusters (linearised ratio mean); infinite for a single cluster."""
    counts = np.bincount(clusters)
    units = int(np.count_nonzero(counts))
    if units < 2:
        return float("inf")
    sums = np.bincount(clusters, values - values.mean())
    return float(np.sqrt(units / (units - 1) * (sums @ sums)) / values.size)
