"""One metric of both models on the same rows: how much better the candidate is, and how sure that is. Clusters move together."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.errors import InputError
from sluicegate.stats import delong_test, minimum_detectable_effect, non_inferiority, paired_bootstrap

Vector = NDArray[np.float64]
Labels = NDArray[Any]
RESAMPLES = 2000
POWER = 0.8


def metric_name(metric: str) -> str:
    """The metric as a person writes it."""
    return {"auc": "AUC", "mae": "MAE", "rmse": "RMSE", "brier": "Brier score"}.get(metric, metric.replace("_", " "))


@dataclass(frozen=True)
class Effect:
    """Difference candidate - champion of one metric, oriented so that higher is better."""

    metric: str
    champion: float
    """Value of the metric itself (a loss stays a loss)."""
    candidate: float
    difference: float
    standard_error: float
    lower: float
    """One-sided lower confidence bound of the difference at level 1 - alpha."""
    upper: float
    """One-sided upper bound."""
    margin: float
    non_inferior: bool
    superior: bool
    p_worse: float
    """One-sided p-value of "at most the margin worse": small means harm beyond it."""
    detectable: float
    """Smallest true difference that this test finds with probability 0.8."""
    rows: int
    units: int
    """Clusters."""
    method: str
    """Function of `sluicegate.stats` behind the standard error."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def effect(
    metric: str, y: Vector, champion: Vector, candidate: Vector, clusters: Labels, *, margin: float, alpha: float
) -> Effect:
    """Compare two models by one metric.

    Raises
    ------
    InputError
        The metric is undefined on these rows, for example an AUC of one class only.
    """
    if metric == "auc":
        found = delong_test(y, champion, candidate, clusters=clusters)
        values = (found.auc_champion, found.auc_candidate, found.difference, found.standard_error)
        method = "delong_test"
    else:
        boot = paired_bootstrap(metric, y, champion, candidate, clusters=clusters, resamples=RESAMPLES, seed=0)
        values = (boot.champion, boot.candidate, boot.difference, boot.standard_error)
        method = "paired_bootstrap"
    return _judged(metric, *values, margin=margin, alpha=alpha, rows=y.size, units=np.unique(clusters).size, method=method)


def attempt(
    metric: str, y: Vector, champion: Vector, candidate: Vector, clusters: Labels, *, margin: float, alpha: float
) -> Effect | None:
    """The same, or None where the rows cannot give the metric."""
    try:
        return effect(metric, y, champion, candidate, clusters, margin=margin, alpha=alpha)
    except InputError:
        return None


def rows_to_decide(found: Effect, alpha: float) -> int:
    """Rows of the same kind with which an equally good candidate would be proven non-inferior with probability 0.8."""
    needed = minimum_detectable_effect(found.standard_error, alpha=alpha, power=POWER, sides=1)
    return math.ceil(found.rows * max(1.0, (needed / found.margin) ** 2))


def _judged(
    metric: str,
    champion: float,
    candidate: float,
    difference: float,
    standard_error: float,
    *,
    margin: float,
    alpha: float,
    rows: int,
    units: int,
    method: str,
) -> Effect:
    test = non_inferiority(difference, standard_error, margin, alpha)
    worse = non_inferiority(-(difference + margin), standard_error, 0.0, alpha)
    return Effect(
        metric,
        champion,
        candidate,
        difference,
        standard_error,
        test.lower_bound,
        test.upper_bound,
        margin,
        test.non_inferior,
        test.superior,
        worse.p_value,
        minimum_detectable_effect(standard_error, alpha=alpha, power=POWER, sides=1),
        rows,
        units,
        method,
    )
