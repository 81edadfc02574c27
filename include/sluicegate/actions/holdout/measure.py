"""How good the scores are on the holdout."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sluicegate.stats import evaluate

Vector = NDArray[np.float64]


def measure(
    task: str, y: Vector, scores: Vector, threshold: float, known: Mapping[str, float] | None = None
) -> Mapping[str, float]:
    """Metrics by name; a metric that the rows cannot give (one class only) is left out, one that is `known` not computed again."""
    have = known or {}
    metrics = {
        "rows": float(y.size),
        "mean_label": float(y.mean()),
        "mean_score": float(scores.mean()),
        "decision_rate": float((scores >= threshold).mean()),
    }
    if task == "regression":
        return metrics | {name: have.get(name) or evaluate(name, y, scores) for name in ("mae", "rmse")}
    metrics |= (
        {name: have.get(name) or evaluate(name, y, scores) for name in ("log_loss", "brier")}
        if set(np.unique(y)) <= {0.0, 1.0}
        else {}
    )
    if 0 < y.mean() < 1:
        metrics |= {name: have.get(name) or evaluate(name, y, scores) for name in ("auc", "average_precision")}
    return metrics
