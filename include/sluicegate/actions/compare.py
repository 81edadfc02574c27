"""The order `compare`: is the candidate fit to replace the champion, on rows that neither has seen?"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluicegate.actions.comparison.contest import Contest, contest
from sluicegate.actions.comparison.cost import costs
from sluicegate.actions.comparison.first import first
from sluicegate.actions.comparison.ground import Entrant, Ground, load_entrant, load_ground
from sluicegate.actions.comparison.limits import Cost
from sluicegate.actions.comparison.looks import Look, look_at
from sluicegate.actions.comparison.write import foreseen, primary_numbers, said, write
from sluicegate.domain.order import Order
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports


def run_compare(order: Order, ports: Ports, folder: Path) -> dict[str, Any]:
    """Score champion and candidate on the newest rows and say which of five words fits the candidate.

    Parameters
    ----------
    order
        Inputs `train_key`, `snapshot_id`, `champion_version` (None when there is no champion yet), and `look`: the how manieth
        comparison with this champion it is (1 when absent).
    folder
        Receives report.html and report.json.

    Returns
    -------
    dict
        verdict, reason, message, numbers of the primary metric, predicted (for the online judge), report.
    """
    ground = load_ground(ports, ports.spec(order.model), order.need("snapshot_id"))
    rows = ground.holdout.rows()
    candidate = load_entrant("candidate", None, _trained(ports, order.need("train_key")), rows)
    version = order.need("champion_version")
    champion = None if version is None else load_entrant("champion", version, ports.registry.package(order.model, version), rows)
    spent = costs({e.name: e.package for e in (candidate, champion) if e is not None}, rows)
    look = look_at(ground.spec.comparison, int(order.inputs.get("look", 1)))
    return conclude(folder, order, ground, candidate, champion, spent, look)


def conclude(
    folder: Path,
    order: Order,
    ground: Ground,
    candidate: Entrant,
    champion: Entrant | None,
    spent: Mapping[str, Cost],
    look: Look,
) -> dict[str, Any]:
    """From scores to the verdict and its report."""
    result = judged(ground, candidate, champion, spent, look)
    predicted = foreseen(ground, candidate, champion)
    write(folder, order, ground, candidate, champion, spent, look, result, predicted)
    return {**said(result), "numbers": primary_numbers(result), "predicted": asdict(predicted), "report": "report.html"}


def judged(ground: Ground, candidate: Entrant, champion: Entrant | None, spent: Mapping[str, Cost], look: Look) -> Contest:
    """The verdict with all that it rests on."""
    if champion is None:
        conflict, y = ground.conflict(candidate), ground.holdout.y
        return first(ground.spec, y, candidate.scores, ground.clusters, spent["candidate"], look, conflict)
    return contest(ground.pairs(candidate, champion), ground.spec, spent, look, ground.conflict(candidate, champion))


def _trained(ports: Ports, train_key: str) -> Path:
    found = ports.results.find(train_key)
    if found is None:
        raise RefusedError(f"the training '{train_key}' has no committed result: train first")
    return found / "package"
