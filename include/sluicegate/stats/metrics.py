"""The metrics that a bootstrap can aggregate: means of a loss per row, and areas that depend on the order of scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.checks import Vector

Losses = Callable[[Vector, Vector], Vector]


@dataclass(frozen=True)
class MeanMetric:
    """Mean of a value per row, then `finish`."""

    name: str
    rows: Losses
    """(y, scores) to one value per row."""
    higher_is_better: bool
    labels: bool
    """y must hold 0 and 1."""
    probabilities: bool = False
    """Scores must lie in [0, 1]."""
    root: bool = False
    """The metric is the square root of the mean."""

    def finish(self, mean: Vector) -> Vector:
        value: Vector = np.sqrt(mean) if self.root else mean
        return value


@dataclass(frozen=True)
class RankMetric:
    """Area computed from the numbers of positives and negatives per score value, in rising order of scores."""

    name: str
    area: Callable[[Vector, Vector], Vector]
    """(positives, negatives), both of shape (..., bins), to shape (...)."""
    higher_is_better: bool = True


Metric = MeanMetric | RankMetric


def auc_area(positives: Vector, negatives: Vector) -> Vector:
    """Area under the ROC curve, ties one half; NaN where a class is missing."""
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    pairs = positives.sum(axis=-1) * negatives.sum(axis=-1)
    return _divide(np.einsum("...g,...g->...", positives, below), pairs)


def average_precision_area(positives: Vector, negatives: Vector) -> Vector:
    """Average precision (step function, as scikit-learn computes it); NaN where no positive is present."""
    hits = np.cumsum(positives[..., ::-1], axis=-1)
    alarms = hits + np.cumsum(negatives[..., ::-1], axis=-1)
    precision = _divide(hits, alarms)
    weighted = np.where(alarms > 0, positives[..., ::-1] * precision, 0.0)
    return _divide(weighted.sum(axis=-1), hits[..., -1])


def named_metric(name: str, *, quantile: float = 0.5, threshold: float = 0.5) -> Metric:
    """The metric of that name.

    Parameters
    ----------
    name : str
        auc, average_precision, log_loss, brier, accuracy, mae, mse, rmse or quantile_loss.
    quantile : float
        For quantile_loss.
    threshold : float
        For accuracy: scores at or above are class 1.

    Raises
    ------
    InputError
        An unknown name; the message lists the known ones.
    """
    level = checks.fraction("quantile", quantile)
    known: dict[str, Metric] = {
        "auc": RankMetric("auc", auc_area),
        "average_precision": RankMetric("average_precision", average_precision_area),
        "log_loss": MeanMetric("log_loss", _log_loss, False, labels=True, probabilities=True),
        "brier": MeanMetric("brier", _squared, False, labels=True, probabilities=True),
        "accuracy": MeanMetric("accuracy", lambda y, s: ((s >= threshold) == (y == 1)) * 1.0, True, labels=True),
        "mae": MeanMetric("mae", lambda y, s: np.abs(y - s), False, labels=False),
        "mse": MeanMetric("mse", _squared, False, labels=False),
        "rmse": MeanMetric("rmse", _squared, False, labels=False, root=True),
        "quantile_loss": MeanMetric("quantile_loss", lambda y, s: _pinball(y - s, level), False, labels=False),
    }
    if name not in known:
        raise InputError(f"`metric` is {name!r}: choose {', '.join(known)}, or pass a function of (y, scores).")
    return known[name]


def evaluate(metric: str, y: ArrayLike, scores: ArrayLike, *, quantile: float = 0.5, threshold: float = 0.5) -> float:
    """Value of a named metric, exact.

    Parameters
    ----------
    metric : str
        See `named_metric`.
    y, scores : array of shape (n,)
        Labels (0/1, or numbers for mae, mse, rmse, quantile_loss) and scores.
    quantile, threshold : float
        See `named_metric`.

    Examples
    --------
    >>> evaluate("mae", [0, 1], [0.25, 0.5])
    0.375
    """
    chosen = named_metric(metric, quantile=quantile, threshold=threshold)
    label, values = check_inputs(chosen, y, scores=scores)
    return exact_value(chosen, label, values[0])


def check_inputs(metric: Metric, y: ArrayLike, **named_scores: ArrayLike) -> tuple[Vector, list[Vector]]:
    """Clean arrays for `metric`, or an InputError that names the offending argument."""
    if isinstance(metric, RankMetric):
        label = checks.binary("y", y, both=True).astype(np.float64)
        scores = [checks.vector(name, values, finite=False) for name, values in named_scores.items()]
    else:
        label = checks.binary("y", y).astype(np.float64) if metric.labels else checks.vector("y", y)
        check = checks.probabilities if metric.probabilities else checks.vector
        scores = [check(name, values) for name, values in named_scores.items()]
    for name, values in zip(named_scores, scores, strict=True):
        checks.same_length(label.size, **{name: values})
    return label, scores


def exact_value(metric: Metric, y: Vector, scores: Vector, weights: Vector | None = None) -> float:
    """Value of the metric on clean arrays, no binning."""
    if isinstance(metric, MeanMetric):
        return float(metric.finish(np.asarray(np.average(metric.rows(y, scores), weights=weights))))
    order = np.argsort(scores)
    ordered, label = scores[order], y[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if weights is None:
        positives, sizes = np.add.reduceat(label, starts), np.diff(np.append(starts, scores.size))
    else:
        heavy = weights[order]
        positives, sizes = np.add.reduceat(label * heavy, starts), np.add.reduceat(heavy, starts)
    return float(metric.area(positives, sizes - positives))


def _log_loss(y: Vector, p: Vector) -> Vector:
    edge = np.finfo(np.float64).eps
    hit = np.where(y == 1, p, 1 - p)
    losses: Vector = -np.log(np.clip(hit, edge, 1 - edge))
    return losses


def _squared(y: Vector, s: Vector) -> Vector:
    return (y - s) ** 2


def _pinball(error: Vector, level: float) -> Vector:
    losses: Vector = np.maximum(level * error, (level - 1) * error)
    return losses


def _divide(top: Vector, bottom: Vector) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Vector = np.where(bottom > 0, top / bottom, np.nan)
    return ratio
