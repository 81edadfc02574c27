"""Everything that is computed about a champion and a candidate on one holdout, and the verdict that follows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sluicegate.actions.comparison.effects import Effect, attempt
from sluicegate.actions.comparison.paired import Paired
from sluicegate.actions.comparison.slices import Scan, scan_slices
from sluicegate.actions.comparison.verdict import Finding, decide
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict
from sluicegate.errors import InputError
from sluicegate.stats import calibration_line, churn, diebold_mariano

METRICS = {"classification": ("auc", "log_loss", "brier"), "regression": ("mae", "rmse")}
CALIBRATION = "brier"


@dataclass(frozen=True)
class Contest:
    finding: Finding
    primary: Effect | None = None
    effects: tuple[Effect, ...] = ()
    """The primary metric first, then the other usual ones of the task."""
    scan: Scan = Scan((), ())  # noqa: RUF009 - frozen and empty
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Calibration, flips or forecast test, by name."""


def contest(pairs: Paired, spec: ModelSpec, cost: Mapping[str, float], conflict: str | None) -> Contest:
    """Compare both models on their common holdout.

    Parameters
    ----------
    cost
        What the candidate costs to serve.
    conflict
        Why one of the models must not be judged on these rows, or None.
    """
    effects = _effects(pairs, spec)
    if not effects or effects[0].metric != spec.comparison.primary:
        sentence = (
            f"the {spec.comparison.primary} of these {len(pairs)} rows is undefined: one class, or one {spec.data.user_id} only"
        )
        return Contest(Finding(OfflineVerdict.INCONCLUSIVE, "metric_undefined", sentence), numbers=_more(pairs, spec))
    scan = scan_slices(pairs, spec)
    calibration = next((e for e in effects if e.metric == CALIBRATION), None)
    finding = decide(effects[0], scan, calibration, cost, spec, conflict)
    return Contest(finding, effects[0], effects, scan, _more(pairs, spec))


def _effects(pairs: Paired, spec: ModelSpec) -> tuple[Effect, ...]:
    rule = spec.comparison
    names = dict.fromkeys((rule.primary, *METRICS[spec.task]))
    found = (
        attempt(name, pairs.y, pairs.champion, pairs.candidate, pairs.clusters, margin=rule.margin, alpha=rule.alpha)
        for name in names
    )
    return tuple(e for e in found if e is not None)


def _more(pairs: Paired, spec: ModelSpec) -> dict[str, Any]:
    if spec.task == "regression":
        return _forecast(pairs)
    flips = churn(pairs.decided_champion, pairs.decided_candidate, pairs.y)
    return {"flips": _finite(asdict(flips)), **_calibration(pairs)}


def _calibration(pairs: Paired) -> dict[str, Any]:
    try:
        lines = {
            who: asdict(calibration_line(pairs.y, scores, clusters=pairs.clusters))
            for who, scores in (("champion", pairs.champion), ("candidate", pairs.candidate))
        }
    except InputError:
        return {}
    return {"calibration": lines}


def _forecast(pairs: Paired) -> dict[str, Any]:
    try:
        return {"diebold_mariano": asdict(diebold_mariano(pairs.y - pairs.champion, pairs.y - pairs.candidate, power=1))}
    except InputError:
        return {}


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if np.isfinite(value)}
