"""The first model of all: there is nobody to compare it with, so it must beat a constant answer."""

import numpy as np

from sluicegate.actions.comparison.contest import Contest
from sluicegate.actions.comparison.effects import Asked, attempt, metric_name
from sluicegate.actions.comparison.limits import Cost, cost_limits
from sluicegate.actions.comparison.looks import Look
from sluicegate.actions.comparison.paired import Codes, Scored, Vector
from sluicegate.actions.comparison.verdict import Finding, decide_first
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict, Verdict


def first(spec: ModelSpec, y: Vector, scores: Vector, clusters: Codes, cost: Cost, look: Look, conflict: str | None) -> Contest:
    """FIRST when the model is proven better than always answering the mean (an AUC of one half), otherwise inconclusive."""
    if conflict is not None:
        return Contest(Finding(OfflineVerdict.INCONCLUSIVE, "holdout_seen", conflict))
    checks = tuple(cost_limits(spec.comparison.gates, cost, None))
    for check in checks:
        if check.verdict is Verdict.FAIL:
            return Contest(Finding(OfflineVerdict.REJECT, f"{check.gate}_exceeded", check.message), checks=checks)
    metric = "auc" if spec.task == "classification" else "mae"
    constant = np.full(y.size, np.median(y) if spec.task == "regression" else y.mean())
    found = attempt(Scored(y, constant, scores, clusters), Asked(metric, spec.comparison.margin, look.level))
    if found is None:
        return Contest(decide_first(False, f"its {metric_name(metric)} cannot be computed on {y.size} rows"), checks=checks)
    values = f"{found.candidate:.4f} against {found.champion:.4f} for a constant answer ({found.lower:+.4f} at least)"
    return Contest(decide_first(found.lower > 0, f"its {metric_name(metric)} is {values.replace('-', '−')}"), checks=checks)
