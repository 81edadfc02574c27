"""What a comparison leaves behind: report.json with every number, report.html for a person."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from sluicegate.actions.comparison.contest import Contest
from sluicegate.actions.comparison.effects import rows_to_decide
from sluicegate.actions.comparison.ground import Entrant, Ground
from sluicegate.actions.comparison.limits import Cost
from sluicegate.actions.comparison.looks import Look
from sluicegate.actions.comparison.pictures import forest, score_shift
from sluicegate.actions.comparison.predictions import predict
from sluicegate.actions.comparison.report import Report, render
from sluicegate.actions.comparison.segments import predicted_segments
from sluicegate.actions.comparison.trace import trace
from sluicegate.actions.holdout import pictures
from sluicegate.actions.holdout.measure import measure
from sluicegate.domain.evidence import Predicted
from sluicegate.domain.order import Order


def write(
    folder: Path,
    order: Order,
    ground: Ground,
    candidate: Entrant,
    champion: Entrant | None,
    spent: Mapping[str, Cost],
    look: Look,
    result: Contest,
    predicted: Predicted,
) -> None:
    """report.json and report.html."""
    entrants = [e for e in (candidate, champion) if e is not None]
    numbers = _numbers(ground, entrants, spent, look, result) | {"predicted": asdict(predicted)}
    if champion is not None:
        numbers["trace"] = trace(ground.pairs(candidate, champion), result.effects, numbers)
    shown = Report(
        spec=ground.spec,
        verdict=result.finding.verdict,
        message=result.finding.message,
        versus="the first model, alone" if champion is None else f"the candidate against champion version {champion.version}",
        result=result,
        look=look,
        numbers=numbers,
        pictures=_pictures(ground, entrants, result)
        | {"score_shift": score_shift(predicted, ground.spec.score_range, candidate.threshold)},
        identity=_identity(order, candidate, champion),
    )
    (folder / "report.html").write_text(render(shown), encoding="utf-8")
    text = json.dumps(numbers, indent=1, sort_keys=True, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")


def foreseen(ground: Ground, candidate: Entrant, champion: Entrant | None) -> Predicted:
    """What the candidate will do once it serves."""
    told = predict(
        candidate.scores,
        None if champion is None else champion.scores,
        ground.clusters,
        threshold=candidate.threshold,
        champion_threshold=None if champion is None else champion.threshold,
        score_range=ground.spec.score_range,
    )
    fields = ground.spec.release.segments
    return told if champion is None else replace(told, segments=predicted_segments(ground.pairs(candidate, champion), fields))


def said(result: Contest) -> dict[str, str]:
    """The verdict in words."""
    found = result.finding
    return {"verdict": found.verdict.value, "reason": found.reason, "message": found.message}


def primary_numbers(result: Contest) -> dict[str, Any]:
    """The primary metric, and how many rows would decide."""
    found = result.primary
    return {} if found is None else {**found.to_dict(), "rows_to_decide": rows_to_decide(found)}


def _numbers(ground: Ground, entrants: list[Entrant], spent: Mapping[str, Cost], look: Look, result: Contest) -> dict[str, Any]:
    holdout = ground.holdout
    numbers: dict[str, Any] = {
        **said(result),
        "look": look.to_dict(),
        "holdout": {
            "rows": len(holdout),
            "units": int(np.count_nonzero(np.bincount(ground.clusters))),
            "from": float(holdout.event_time.min()),
            "until": float(holdout.event_time.max()),
            **ground.traps,
        },
        "primary": primary_numbers(result),
        "effects": [e.to_dict() for e in result.effects],
        "slices": [s.to_dict() for s in result.scan.slices],
        "slices_too_small": list(result.scan.too_small),
        "protected": [g.to_dict() for g in result.scan.protected],
        "gates": [c.to_dict() for c in result.checks],
        **result.numbers,
    }
    for entrant in entrants:
        known = {e.metric: getattr(e, entrant.name) for e in result.effects} if ground.weights is None else {}
        metrics = measure(ground.spec.task, holdout.y, entrant.scores, entrant.threshold, known)
        numbers[entrant.name] = {"metrics": metrics, "cost": spent[entrant.name], "training": entrant.window}
    return numbers


def _pictures(ground: Ground, entrants: list[Entrant], result: Contest) -> dict[str, str]:
    scores = {e.name: e.scores for e in entrants}
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
