"""One metric of both models on the same rows: how much better the candidate is, and how sure that is. Clusters move together."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sluicegate.actions.comparison.paired import Scored
from sluicegate.errors import InputError
from sluicegate.stats import closed_test, delong_test, minimum_detectable_effect, paired_bootstrap

RESAMPLES = 2000
POWER = 0.8


def metric_name(metric: str) -> str:
    """The metric as a person writes it."""
    known = {"auc": "AUC", "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "brier": "Brier score"}
    return known.get(metric, metric.replace("_", " "))


@dataclass(frozen=True)
class Asked:
    """What is asked of a metric."""

    metric: str
    margin: float
    alpha: float
    """One-sided level of the bounds and of "no worse" and "better"."""
    quantile: float = 0.5
    """Of the metric quantile_loss."""


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
    alpha: float
    non_inferior: bool
    superior: bool
    p_harm: float
    """One-sided p-value of "not worse at all": small means worse, by however little."""
    p_worse: float
    """One-sided p-value of "at most the margin worse": small means harm beyond it."""
    detectable: float
    """Smallest true difference that this test finds with probability 0.8."""
    rows: int
    units: int
    """Clusters."""
    method: str
    """Function of `sluicegate.stats` behind the standard error."""
    binning_error: float = 0.0
    """How far binning the scores moved the difference while resampling; taken out of the difference and the bounds."""
    quantile: float = 0.5
    """Of the metric quantile_loss."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def effect(scored: Scored, asked: Asked) -> Effect:
    """Compare two models by one metric.

    Raises
    ------
    InputError
        The metric is undefined on these rows, for example an AUC of one class only.
    """
    if asked.metric == "auc" and scored.weights is None:
        return _by_delong(scored, asked)
    boot = paired_bootstrap(
        asked.metric,
        scored.y,
        scored.champion,
        scored.candidate,
        clusters=scored.clusters,
        weights=scored.weights,
        resamples=RESAMPLES,
        seed=0,
        quantile=asked.quantile,
        method="percentile",  # its interval is not used, and the jackknife of BCa would cost a quarter more
    )
    values = (boot.champion, boot.candidate, boot.difference, boot.standard_error)
    return _judged(scored, asked, values, "paired_bootstrap", boot.binning_error)


def attempt(scored: Scored, asked: Asked) -> Effect | None:
    """The same, or None where the rows cannot give the metric."""
    try:
        return effect(scored, asked)
    except InputError:
        return None


def rows_to_decide(found: Effect) -> int:
    """Rows of the same kind with which an equally good candidate would be proven non-inferior with probability 0.8."""
    return math.ceil(found.rows * max(1.0, (found.detectable / found.margin) ** 2))


def _by_delong(scored: Scored, asked: Asked) -> Effect:
    found = delong_test(scored.y, scored.champion, scored.candidate, clusters=scored.clusters)
    values = (found.auc_champion, found.auc_candidate, found.difference, found.standard_error)
    return _judged(scored, asked, values, "delong_test", 0.0)


def _judged(scored: Scored, asked: Asked, values: tuple[float, float, float, float], method: str, binned: float) -> Effect:
    champion, candidate, difference, standard_error = values
    freedom = max(scored.units - 1, 1)
    test = closed_test(difference, standard_error, asked.margin, asked.alpha, degrees_of_freedom=freedom)
    harm, worse = (
        closed_test(-(difference + slack), standard_error, 0.0, asked.alpha, degrees_of_freedom=freedom)
        for slack in (0.0, asked.margin)
    )
    return Effect(
        metric=asked.metric,
        champion=champion,
        candidate=candidate,
        difference=difference,
        standard_error=standard_error,
        lower=test.lower_bound,
        upper=test.upper_bound,
        margin=asked.margin,
        alpha=asked.alpha,
        non_inferior=test.non_inferior,
        superior=test.superior,
        p_harm=harm.p_value,
        p_worse=worse.p_value,
        detectable=minimum_detectable_effect(standard_error, alpha=asked.alpha, power=POWER, sides=1),
        rows=len(scored),
        units=scored.units,
        method=method,
        binning_error=binned,
        quantile=asked.quantile,
    )
