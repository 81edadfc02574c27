"""Gates `score` and `decision_rate`: what the candidate does live against what the offline comparison predicted.

A better model rightly moves its scores, so not the shift against the champion is judged but *seen - predicted*. The holdout is
another month than the live one; how much the population moved is read off the champion, which answers the same live requests:
the predicted difference is re-weighted from the champion's score histogram on the holdout to its histogram live. What is left
is skew.
"""

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np

from sluicegate.domain.evidence import Predicted
from sluicegate.gates import blocks, bounds
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.looks import (
    CANDIDATE,
    CANDIDATE_HISTOGRAM,
    CHAMPION_HISTOGRAM,
    DIFF,
    DIFF_SQUARE,
    OFF,
    ON,
    PAIRS,
    Array,
)

FEW_ROWS = 50.0
"""A bin of the champion's histogram with so many holdout rows is believed half, the overall difference the other half."""
CUMULATIVE_MARGIN = 0.2
"""Distance of two distribution functions at which their bounds are tightest."""
COLUMNS = ("weight", "score", "decision_rate")
"""Of the blocks in time."""
FEW_BUCKETS = 20
"""With users in fewer buckets the variance is not known well enough for any verdict."""


@dataclass(frozen=True)
class Drift:
    """Seen minus predicted, in units of the score or as a share of decisions."""

    seen: float
    """Candidate - champion on live requests: the raw shift."""
    predicted: float
    """The same as the offline comparison predicts it for the live population."""
    holdout: float
    """The same on the holdout, before re-weighting."""
    standard_error: float
    units: float
    buckets: int


def predict(predicted: Predicted, live_champion: Array, metric: str) -> tuple[float, float] | None:
    """Predicted difference (candidate - champion) for the live population, and as it was on the holdout; None if not predicted.

    Parameters
    ----------
    predicted : from the offline comparison.
    live_champion : the champion's score histogram live, counts; empty where it is not known.
    metric : "score" or "decision_rate".
    """
    overall, by_bin = _holdout(predicted, metric)
    if overall is None or not isfinite(overall):
        return None
    rows = np.asarray(predicted.champion_histogram, dtype=np.float64) * predicted.rows
    bins = np.asarray(by_bin, dtype=np.float64)
    if not len(bins) or len(bins) != len(rows) or len(bins) != len(live_champion) or live_champion.sum() <= 0:
        return overall, overall
    believed = (rows * bins + FEW_ROWS * overall) / (rows + FEW_ROWS)
    return float(believed @ live_champion / live_champion.sum()), overall


def _holdout(predicted: Predicted, metric: str) -> tuple[float | None, tuple[float, ...]]:
    if metric == "score":
        return _first(predicted.mean_difference, predicted.mean_score, predicted.champion_mean_score), (
            predicted.difference_by_champion_bin
        )
    flips = None if predicted.flips_on is None or predicted.flips_off is None else predicted.flips_on - predicted.flips_off
    overall = _first(flips, predicted.decision_rate, predicted.champion_decision_rate)
    return overall, predicted.decision_difference_by_champion_bin


def _first(difference: float | None, candidate: float, champion: float | None) -> float | None:
    if difference is not None:
        return difference
    return None if champion is None else candidate - champion


def of_pairs(total: Array, in_time: Blocks, predicted: Predicted, metric: str) -> Drift | None:
    """Drift from pairs, (9, buckets) since the stage began; None when nothing was predicted or no pair was seen.

    The standard error is the largest of three: over users, over time, and of independent requests.
    """
    pairs = total[PAIRS]
    count = float(pairs.sum())
    bins = len(predicted.histogram)
    expected = predict(predicted, total[CHAMPION_HISTOGRAM, :bins], metric)
    if expected is None or count <= 0:
        return None
    sums, squares = (total[DIFF], total[DIFF_SQUARE]) if metric == "score" else (total[ON] - total[OFF], total[ON] + total[OFF])
    seen = float(sums.sum()) / count
    spread = (float(squares.sum()) + (1.0 if metric == "decision_rate" else 0.0)) / count - seen**2
    independent = sqrt(max(spread, 0.0) / count)
    over_time = blocks.standard_error(in_time, COLUMNS.index(metric))
    error = max(float(bounds.ratio_standard_error(sums, pairs)), over_time, independent)
    return Drift(seen, *expected, _with_holdout(error, count, predicted.rows), count, int((pairs > 0).sum()))


def of_arms(
    difference: tuple[Array, Array], arms: Array, in_time: Blocks, live_champion: Array, predicted: Predicted, metric: str
) -> Drift | None:
    """Drift from the arms of a split: `difference` and its standard error, requests (2, buckets), champion's live histogram."""
    expected = predict(predicted, live_champion, metric)
    candidate = float(arms[1].sum())
    if expected is None or candidate <= 0:
        return None
    seen, over_users = (float(x) for x in difference)
    error = max(over_users, blocks.standard_error(in_time, COLUMNS.index(metric)))
    return Drift(seen, *expected, _with_holdout(error, candidate, predicted.rows), candidate, int((arms[1] > 0).sum()))


def _with_holdout(error: float, units: float, rows: int) -> float:
    """Add what the holdout's own size leaves unknown: it varies like the live units do."""
    return error * sqrt(1 + units / rows) if rows > 0 else inf


def displacement(total: Array, in_time: Blocks, predicted: Predicted, alpha: float) -> tuple[float, float]:
    """How far score mass moved beyond the prediction, as a share of the score range: estimate and lower bound at all looks.

    The Wasserstein distance between the candidate's live histogram and the predicted one, re-weighted like the mean. The lower
    bound takes from every step of the distribution function its own half width at alpha over the number of steps; steps cluster
    over users like the candidate's scores do, and over time like the differences do.
    """
    bins = len(predicted.histogram)
    live = total[CANDIDATE_HISTOGRAM, :bins]
    count = float(live.sum())
    expected = _predicted_histogram(predicted, total[CHAMPION_HISTOGRAM, :bins])
    if expected is None or count <= 0:
        return 0.0, 0.0
    seen, due = np.cumsum(live / count)[:-1], np.cumsum(expected)[:-1]
    over_users = float(bounds.ratio_standard_error(total[CANDIDATE], total[PAIRS])) ** 2 * count / _variance(total, CANDIDATE)
    over_time = blocks.standard_error(in_time, COLUMNS.index("score")) ** 2 * count / _variance(total, DIFF)
    design = max(over_users, over_time)
    middle = (seen * count + 1) / (count + 2)
    errors = np.sqrt(middle * (1 - middle) * max(design, 1.0) * (1 / count + 1 / max(predicted.rows, 1)))
    widths = bounds.half_widths(errors, CUMULATIVE_MARGIN, alpha / (bins - 1))
    distance = np.abs(seen - due)
    return float(distance.mean()) * (bins - 1) / bins, float(np.maximum(distance - widths, 0).sum()) / bins


def _variance(total: Array, row: int) -> float:
    """Variance of one request's value; the row after `row` holds its squares."""
    count = float(total[PAIRS].sum())
    mean = float(total[row].sum()) / count
    return max(float(total[row + 1].sum()) / count - mean**2, 1e-12)


def _predicted_histogram(predicted: Predicted, live_champion: Array) -> Array | None:
    """Shares of the candidate's bins for the live population; without the joint histogram, None: nothing can be said."""
    bins = len(predicted.histogram)
    if len(predicted.joint_histogram) != bins * bins or live_champion.sum() <= 0:
        return None
    joint = np.asarray(predicted.joint_histogram, dtype=np.float64).reshape(bins, bins) * predicted.rows
    overall = np.asarray(predicted.histogram, dtype=np.float64)
    believed = (joint + FEW_ROWS * overall) / (joint.sum(axis=1, keepdims=True) + FEW_ROWS)
    return np.asarray(live_champion / live_champion.sum() @ believed)
