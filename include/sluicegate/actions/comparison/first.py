"""The first model of all: there is nobody to compare it with, so it must beat a constant answer."""

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.contest import Contest
from sluicegate.actions.comparison.effects import attempt, metric_name
from sluicegate.actions.comparison.verdict import Finding, decide_first
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict

Vector = NDArray[np.float64]


def first(spec: ModelSpec, y: Vector, scores: Vector, clusters: NDArray[np.str_], conflict: str | None) -> Contest:
    """FIRST when the model is proven better than always answering the mean (an AUC of one half), otherwise inconclusive."""
    if conflict is not None:
        return Contest(Finding(OfflineVerdict.INCONCLUSIVE, "holdout_seen", conflict))
    metric = "auc" if spec.task == "classification" else "mae"
    constant = np.full(y.size, np.median(y) if spec.task == "regression" else y.mean())
    rule = spec.comparison
    found = attempt(metric, y, constant, scores, clusters, margin=rule.margin, alpha=rule.alpha)
    if found is None:
        return Contest(decide_first(False, f"its {metric_name(metric)} cannot be computed on {y.size} rows"))
    values = f"{found.candidate:.4f} against {found.champion:.4f} for a constant answer ({found.lower:+.4f} at least)"
    return Contest(decide_first(found.lower > 0, f"its {metric_name(metric)} is {values.replace('-', '−')}"))
