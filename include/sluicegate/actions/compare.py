"""The order `compare`: is the candidate fit to replace the champion, on rows that neither has seen?"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.contest import Contest, contest
from sluicegate.actions.comparison.cost import cost
from sluicegate.actions.comparison.effects import rows_to_decide
from sluicegate.actions.comparison.first import first
from sluicegate.actions.comparison.paired import Paired, clusters_of
from sluicegate.actions.comparison.pictures import forest, score_shift
from sluicegate.actions.comparison.predictions import predict
from sluicegate.actions.comparison.report import Report, render
from sluicegate.actions.comparison.windows import overlap
from sluicegate.actions.holdout import pictures
from sluicegate.actions.holdout.labelled import Labelled, load_labelled
from sluicegate.actions.holdout.measure import measure
from sluicegate.actions.holdout.split import TRAINING, temporal_split
from sluicegate.domain.evidence import Predicted
from sluicegate.domain.order import Order
from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports
from sluicegate.serving.package import load_package

Vector = NDArray[np.float64]


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


@dataclass(frozen=True)
class Field:
    """Where the two meet."""

    spec: ModelSpec
    holdout: Labelled
    clusters: NDArray[np.str_]
    holdout_from: float


def run_compare(order: Order, ports: Ports, folder: Path) -> dict[str, Any]:
    """Score champion and candidate on the newest rows and say which of five words fits the candidate.

    Parameters
    ----------
    order
        Inputs `train_key`, `snapshot_id`, `champion_version` (None when there is no champion yet).
    folder
        Receives report.html and report.json.

    Returns
    -------
    dict
        verdict, reason, message, numbers of the primary metric, predicted (for the online judge), report.
    """
    spec = ports.spec(order.model)
    ground = _field(ports, order, spec)
    rows = ground.holdout.rows()
    candidate = _entrant("candidate", None, _trained(ports, order.need("train_key")), rows)
    version = order.need("champion_version")
    champion = None if version is None else _entrant("champion", version, ports.registry.package(order.model, version), rows)
    costs = {e.name: cost(e.package, rows) for e in (candidate, champion) if e is not None}
    result = _contest(ground, candidate, champion, costs["candidate"])
    return _write(folder, order, ground, candidate, champion, costs, result)


def _field(ports: Ports, order: Order, spec: ModelSpec) -> Field:
    rows = load_labelled(ports.dataset.snapshot(order.model, order.need("snapshot_id")), spec)
    split = temporal_split(rows, spec.training)
    holdout = rows.chosen(split.holdout)
    return Field(spec, holdout, clusters_of(holdout, spec), split.window.holdout_from)


def _trained(ports: Ports, train_key: str) -> Path:
    found = ports.results.find(train_key)
    if found is None:
        raise RefusedError(f"the training '{train_key}' has no committed result: train first")
    return found / "package"


def _entrant(name: str, version: str | None, package: Path, rows: list[dict[str, Any]]) -> Entrant:
    model = load_package(package)
    stated = package / TRAINING
    window = json.loads(stated.read_text()) if stated.is_file() else None
    return Entrant(name, version, package, model.score_rows(rows), window, model.manifest.model_hash, model.manifest.threshold)


def _contest(ground: Field, candidate: Entrant, champion: Entrant | None, spent: Mapping[str, float]) -> Contest:
    embargo = ground.spec.training.holdout.embargo
    entrants = [e for e in (candidate, champion) if e is not None]
    conflicts = (overlap(e.name, e.window, holdout_from=ground.holdout_from, embargo_s=embargo) for e in entrants)
    conflict = next((c for c in conflicts if c is not None), None)
    if champion is None:
        return first(ground.spec, ground.holdout.y, candidate.scores, ground.clusters, conflict)
    scores = (champion.scores, candidate.scores)
    pairs = Paired(ground.holdout.y, *scores, ground.clusters, ground.holdout, candidate.threshold, champion.threshold)
    return contest(pairs, ground.spec, spent, conflict)


def _write(
    folder: Path,
    order: Order,
    ground: Field,
    candidate: Entrant,
    champion: Entrant | None,
    costs: Mapping[str, Mapping[str, float]],
    result: Contest,
) -> dict[str, Any]:
    spec = ground.spec
    foreseen = _foreseen(ground, candidate, champion)
    numbers = _numbers(ground, candidate, champion, costs, result) | {"predicted": asdict(foreseen)}
    shown = Report(
        spec,
        result.finding.verdict,
        result.finding.message,
        "the first model, alone" if champion is None else f"the candidate against champion version {champion.version}",
        result.primary,
        result.effects,
        result.scan,
        numbers,
        _pictures(ground, candidate, champion, result)
        | {"score_shift": score_shift(foreseen, spec.score_range, candidate.threshold)},
        _identity(order, candidate, champion),
    )
    (folder / "report.html").write_text(render(shown), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(numbers, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")
    return {
        **_finding(result),
        "numbers": _primary(result, spec),
        "predicted": asdict(foreseen),
        "report": "report.html",
    }


def _foreseen(ground: Field, candidate: Entrant, champion: Entrant | None) -> Predicted:
    return predict(
        candidate.scores,
        None if champion is None else champion.scores,
        ground.clusters,
        threshold=candidate.threshold,
        champion_threshold=None if champion is None else champion.threshold,
        score_range=ground.spec.score_range,
    )


def _numbers(
    ground: Field,
    candidate: Entrant,
    champion: Entrant | None,
    costs: Mapping[str, Mapping[str, float]],
    result: Contest,
) -> dict[str, Any]:
    holdout = ground.holdout
    numbers: dict[str, Any] = {
        **_finding(result),
        "holdout": {
            "rows": len(holdout),
            "units": int(np.unique(ground.clusters).size),
            "from": float(holdout.event_time.min()),
            "until": float(holdout.event_time.max()),
        },
        "effects": [e.to_dict() for e in result.effects],
        "slices": [s.to_dict() for s in result.scan.slices],
        "slices_too_small": list(result.scan.too_small),
        **result.numbers,
    }
    for entrant in (candidate, champion):
        if entrant is not None:
            metrics = measure(ground.spec.task, holdout.y, entrant.scores, entrant.threshold)
            numbers[entrant.name] = {"metrics": metrics, "cost": costs[entrant.name], "training": entrant.window}
    return numbers


def _finding(result: Contest) -> dict[str, str]:
    found = result.finding
    return {"verdict": found.verdict.value, "reason": found.reason, "message": found.message}


def _primary(result: Contest, spec: ModelSpec) -> dict[str, Any]:
    if result.primary is None:
        return {}
    return {**result.primary.to_dict(), "rows_to_decide": rows_to_decide(result.primary, spec.comparison.alpha)}


def _pictures(ground: Field, candidate: Entrant, champion: Entrant | None, result: Contest) -> dict[str, str]:
    scores = {e.name: e.scores for e in (champion, candidate) if e is not None}
    y = ground.holdout.y
    if ground.spec.task == "regression":
        drawn = pictures.regression(y, scores, ground.holdout.event_time)
    else:
        drawn = pictures.classification(y, scores)
    return drawn if result.primary is None else drawn | {"slices": forest(result.primary, result.scan)}


def _identity(order: Order, candidate: Entrant, champion: Entrant | None) -> dict[str, str]:
    known = {
        "order": order.key,
        "training": str(order.need("train_key")),
        "snapshot": str(order.need("snapshot_id")),
        "candidate": candidate.hash[:32],
    }
    return known if champion is None else known | {"champion": champion.hash[:32]}
