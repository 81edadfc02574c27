"""Pictures of scores against the truth, for one model or two: SVG text by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.holdout.chart import CANDIDATE, CHAMPION, FAINT, Chart

Vector = NDArray[np.float64]
POINTS = 160
BOTH = ((CHAMPION, "champion"), (CANDIDATE, "candidate"))


def classification(y: Vector, scores: Mapping[str, Vector]) -> dict[str, str]:
    """ROC, precision-recall and calibration; `scores` maps "champion" and/or "candidate" to scores."""
    falling = {who: _falling(y, values) for who, values in scores.items()}
    base = float(y.mean())
    return {"roc": _roc(falling), "precision_recall": _precision_recall(falling, base), "calibration": _calibration(falling)}


def regression(y: Vector, scores: Mapping[str, Vector], times: Vector) -> dict[str, str]:
    """Share of rows within an error, error over time, and calibration by tenths of the prediction."""
    return {"within": _within(y, scores), "over_time": _over_time(y, scores, times), "calibration": _levels(y, scores)}


Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Falling:
    """Rows from the highest score to the lowest: sorted once, drawn three times."""

    y: Vector
    scores: Vector


def _falling(y: Vector, scores: Vector) -> Falling:
    order = np.argsort(-scores, kind="stable")
    return Falling(y[order], scores[order])


def _colours(scores: Mapping[str, Drawn]) -> list[tuple[str, str, Drawn]]:
    return [(colour, who, scores[who]) for colour, who in BOTH if who in scores]


def _roc(scores: Mapping[str, Falling]) -> str:
    chart = Chart((0, 1), (0, 1)).axes("false positive rate", "true positive rate").line([0, 1], [0, 1], FAINT, dash="4 4")
    entries = []
    for colour, who, values in _colours(scores):
        positives, negatives = _cumulated(values)
        across, up = negatives / max(negatives[-1], 1), positives / max(positives[-1], 1)
        chart.line(*_thinned(across, up), colour)
        entries.append((colour, f"{who}, AUC {np.trapezoid(up, across):.4f}"))
    return chart.legend(entries, x=chart.across(0.5), y=chart.up(0.16)).svg("ROC of both models")


def _precision_recall(scores: Mapping[str, Falling], base: float) -> str:
    chart = Chart((0, 1), (0, 1)).axes("recall", "precision")
    chart.rule(y=base, colour=FAINT, dash="4 4")
    entries = []
    for colour, who, values in _colours(scores):
        positives, negatives = _cumulated(values)
        recall, precision = positives / max(positives[-1], 1), positives / np.maximum(positives + negatives, 1)
        steps = np.diff(recall, prepend=0)
        chart.line(*_thinned(recall[1:], precision[1:]), colour)
        entries.append((colour, f"{who}, average {float(steps @ precision):.4f}"))
    x, y = (chart.across(0.5), 22.0) if base < 0.4 else (chart.across(0.05), chart.up(0.16))  # where no curve is
    return chart.legend(entries, x=x, y=y).svg("Precision and recall of both models")


def _calibration(scores: Mapping[str, Falling]) -> str:
    points = [(colour, *_tenths(rows)) for colour, _, rows in _colours(scores)]
    top = min(1.0, 1.1 * max(max(mean.max(), truth.max()) for _, mean, truth in points))
    chart = Chart((0, top), (0, top)).axes("predicted probability, by tenths", "observed share").line([0, top], [0, top], FAINT)
    for colour, mean, truth in points:
        chart.line(mean, truth, colour, width=1.2).dots(mean, truth, colour)
    names = [(colour, who) for colour, who, _ in _colours(scores)]
    return chart.legend(names, x=chart.across(0) + 12, y=22).svg("Calibration of both models")


def _within(y: Vector, scores: Mapping[str, Vector]) -> str:
    errors = {who: np.sort(np.abs(y - values)) for who, values in scores.items()}
    far = float(max(np.quantile(e, 0.95) for e in errors.values())) or 1.0
    chart = Chart((0, far), (0, 1)).axes("absolute error", "share of rows within")
    entries = []
    for colour, who, _ in _colours(scores):
        near = errors[who][errors[who] <= far]
        chart.line(*_thinned(near, np.arange(1, near.size + 1) / y.size), colour)
        entries.append((colour, f"{who}, MAE {errors[who].mean():.4g}"))
    return chart.legend(entries, x=chart.across(far * 0.5), y=chart.up(0.16)).svg("Share of rows within an error")


def _over_time(y: Vector, scores: Mapping[str, Vector], times: Vector) -> str:
    parts = [p for p in np.array_split(np.argsort(times, kind="stable"), 12) if p.size]
    days = np.array([times[p].mean() - times.min() for p in parts]) / 86400
    lines = {who: np.array([np.abs(y[p] - values[p]).mean() for p in parts]) for who, values in scores.items()}
    top = 1.15 * max(float(line.max()) for line in lines.values()) or 1.0
    chart = Chart((0, float(days.max())), (0, top)).axes("days since the holdout began", "mean absolute error")
    for colour, who, _ in _colours(scores):
        chart.line(days, lines[who], colour).dots(days, lines[who], colour)
    return chart.svg("Error over time")


def _levels(y: Vector, scores: Mapping[str, Vector]) -> str:
    points = [(colour, *_tenths(_falling(y, values))) for colour, _, values in _colours(scores)]
    low = min(min(mean.min(), truth.min()) for _, mean, truth in points)
    high = max(max(mean.max(), truth.max()) for _, mean, truth in points)
    chart = Chart((low, high), (low, high)).axes("predicted, by tenths", "observed mean").line([low, high], [low, high], FAINT)
    for colour, mean, truth in points:
        chart.line(mean, truth, colour, width=1.2).dots(mean, truth, colour)
    return chart.svg("Predicted and observed by tenths")


def _cumulated(rows: Falling) -> tuple[Vector, Vector]:
    """Positives and negatives at or above each distinct score, from the highest; both begin with 0."""
    last = np.append(np.flatnonzero(np.diff(rows.scores)), rows.y.size - 1)
    positives = np.cumsum(rows.y)[last]
    return np.concatenate(([0.0], positives)), np.concatenate(([0.0], last + 1 - positives))


def _tenths(rows: Falling) -> tuple[Vector, Vector]:
    """Mean score and mean label of ten parts of equal size, from the lowest scores."""
    parts = [p for p in np.array_split(np.arange(rows.y.size)[::-1], 10) if p.size]
    return np.array([rows.scores[p].mean() for p in parts]), np.array([rows.y[p].mean() for p in parts])


def _thinned(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    keep = np.unique(np.linspace(0, x.size - 1, POINTS).astype(int))
    return x[keep], y[keep]
