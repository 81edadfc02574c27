"""What the offline comparison predicts for the live population, made ready once a stage.

The holdout is another month than the live one; how much the population moved is read off the champion, which answers the same
live requests: predictions are averaged over the champion's live score histogram, bin by bin.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from sluicegate.domain.evidence import Predicted
from sluicegate.gates.looks import Array

FEW_ROWS = 50.0
"""A bin of the champion's histogram with so many holdout rows is believed half, the overall value the other half."""


@dataclass(frozen=True, eq=False)
class Difference:
    """Predicted candidate - champion, of the mean score or of the share of positive decisions."""

    overall: float
    """On the holdout."""
    by_bin: Array | None
    """Where the champion's score falls in each bin; None where only the overall one is known."""

    def live(self, champion: Array) -> float:
        """For the population whose champion scores have this histogram (counts)."""
        count = float(champion.sum())
        if self.by_bin is None or len(champion) != len(self.by_bin) or count <= 0:
            return self.overall
        return float((self.by_bin * champion).sum()) / count


@dataclass(frozen=True, eq=False)
class Forecast:
    """A prediction, ready to be compared with live traffic."""

    rows: int
    bins: int
    score: Difference | None
    """None: not predicted."""
    decision: Difference | None
    flips: float | None
    """Share of the holdout's rows whose decision differs; None when it is not known."""
    joint: Array | None
    """Shares of the candidate's bins given the champion's bin, (bins, bins); None: distributions were not predicted."""

    def of(self, metric: str) -> Difference | None:
        """By the name of its gate."""
        return self.score if metric == "score" else self.decision

    def histogram(self, champion: Array) -> Array | None:
        """Predicted shares of the candidate's bins for the population whose champion scores have this histogram."""
        count = float(champion.sum())
        return None if self.joint is None or count <= 0 else np.asarray((champion[:, None] * self.joint).sum(axis=0) / count)


def forecast(predicted: Predicted) -> Forecast:
    """The prediction made ready; thin bins are drawn to the whole."""
    mean = _first(predicted.mean_difference, predicted.mean_score, predicted.champion_mean_score)
    on, off = predicted.flips_on, predicted.flips_off
    net = None if on is None or off is None else on - off
    decided = _first(net, predicted.decision_rate, predicted.champion_decision_rate)
    return Forecast(
        predicted.rows,
        len(predicted.histogram),
        _difference(predicted, mean, predicted.difference_by_champion_bin),
        _difference(predicted, decided, predicted.decision_difference_by_champion_bin),
        None if on is None or off is None else on + off,
        _joint(predicted),
    )


def _first(difference: float | None, candidate: float, champion: float | None) -> float | None:
    if difference is not None:
        return difference
    return None if champion is None else candidate - champion


def _difference(predicted: Predicted, overall: float | None, by_bin: tuple[float, ...]) -> Difference | None:
    if overall is None or not isfinite(overall):
        return None
    rows = np.asarray(predicted.champion_histogram, dtype=np.float64) * predicted.rows
    if not by_bin or len(by_bin) != len(rows):
        return Difference(overall, None)
    return Difference(overall, (rows * np.asarray(by_bin, dtype=np.float64) + FEW_ROWS * overall) / (rows + FEW_ROWS))


def _joint(predicted: Predicted) -> Array | None:
    bins = len(predicted.histogram)
    if len(predicted.joint_histogram) != bins * bins:
        return None
    joint = np.asarray(predicted.joint_histogram, dtype=np.float64).reshape(bins, bins) * predicted.rows
    overall = np.asarray(predicted.histogram, dtype=np.float64)
    return np.asarray((joint + FEW_ROWS * overall) / (joint.sum(axis=1, keepdims=True) + FEW_ROWS))
