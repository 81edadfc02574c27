"""Both models' scores on the same labelled rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.holdout.labelled import Labelled
from sluicegate.domain.spec import ModelSpec

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Rows in order of time."""

    y: Vector
    champion: Vector
    candidate: Vector
    clusters: NDArray[np.str_]
    """Unit of each row: rows of one unit move together."""
    holdout: Labelled
    threshold: float
    """The candidate's: its decision is positive at or above it."""
    champion_threshold: float

    def __len__(self) -> int:
        return int(self.y.size)

    @property
    def decided_champion(self) -> NDArray[np.bool_]:
        decided: NDArray[np.bool_] = self.champion >= self.champion_threshold
        return decided

    @property
    def decided_candidate(self) -> NDArray[np.bool_]:
        decided: NDArray[np.bool_] = self.candidate >= self.threshold
        return decided


def clusters_of(holdout: Labelled, spec: ModelSpec) -> NDArray[np.str_]:
    """Values of comparison.cluster as text, the user id by default."""
    field = spec.comparison.cluster
    values: list[Any] = holdout.columns[field] if field is not None else list(holdout.user)
    return np.asarray([str(v) for v in values], dtype=str)
