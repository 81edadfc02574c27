"""Where champion and candidate meet: the holdout of one snapshot, and each model's package and scores on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.actions.comparison.paired import Codes, Paired, Scored, Vector, clusters_of, weights_of
from sluicegate.actions.comparison.traps import censored, prevalence, repeated
from sluicegate.actions.comparison.windows import overlap
from sluicegate.actions.holdout.labelled import Labelled, load_labelled
from sluicegate.actions.holdout.split import TRAINING, temporal_split
from sluicegate.domain.spec import ModelSpec
from sluicegate.ports import Ports
from sluicegate.serving.package import load_package


@dataclass(frozen=True)
class Entrant:
    """One of the two models: its package, and its scores on the holdout."""

    name: str
    version: str | None
    package: Path
    scores: Vector
    window: Mapping[str, Any] | None
    """The training window that its package states."""
    hash: str
    threshold: float
    """Fixed when it was packaged, so never tuned on the holdout."""


@dataclass(frozen=True)
class Ground:
    """The rows of a comparison."""

    spec: ModelSpec
    holdout: Labelled
    clusters: Codes
    weights: Vector | None
    holdout_from: float
    """Seconds since the epoch."""
    traps: Mapping[str, Any]
    """What might flatter one of the models: numbers for the report."""

    def pairs(self, candidate: Entrant, champion: Entrant) -> Paired:
        """Both models' scores side by side."""
        scored = Scored(self.holdout.y, champion.scores, candidate.scores, self.clusters, self.weights)
        return Paired(scored, self.holdout, candidate.threshold, champion.threshold)

    def conflict(self, *entrants: Entrant) -> str | None:
        """Why one of them must not be judged here, or None."""
        embargo = self.spec.training.holdout.embargo
        found = (overlap(e.name, e.window, holdout_from=self.holdout_from, embargo_s=embargo) for e in entrants)
        return next((conflict for conflict in found if conflict is not None), None)


def load_ground(ports: Ports, spec: ModelSpec, snapshot_id: str) -> Ground:
    """The holdout of a snapshot, split as training split it."""
    rows = load_labelled(ports.dataset.snapshot(spec.model, snapshot_id), spec)
    split = temporal_split(rows, spec.training)
    holdout = rows.chosen(split.holdout)
    traps = {
        "mean_label_training": prevalence(rows, split.train),
        "mean_label": prevalence(rows, split.holdout),
        "repeats_of_training_rows": repeated(rows, split, spec),
        "censored": censored(ports.requests, holdout, spec),
    }
    return Ground(spec, holdout, clusters_of(holdout, spec), weights_of(holdout, spec), split.window.holdout_from, traps)


def load_entrant(name: str, version: str | None, package: Path, rows: list[dict[str, Any]]) -> Entrant:
    """A model with its scores on these rows."""
    model = load_package(package)
    stated = package / TRAINING
    window = json.loads(stated.read_text()) if stated.is_file() else None
    return Entrant(name, version, package, model.score_rows(rows), window, model.manifest.model_hash, model.manifest.threshold)
