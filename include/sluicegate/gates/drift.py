"""Gates `score` and `decision_rate`: what the candidate does live against what the offline comparison predicted.

A better model rightly moves its scores, so not the shift against the champion is judged but *seen - predicted*, where the
prediction is made for the live population (forecast.py). What is left is skew.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from sluicegate.gates import blocks, bounds
from sluicegate.gates.forecast import Forecast
from sluicegate.gates.looks import CANDIDATE, CANDIDATE_SQUARE, DIFF, DIFF_SQUARE, OFF, ON, Array
from sluicegate.gates.paired import COLUMNS, FLIPS, Paired

CUMULATIVE_MARGIN = 0.2
"""Distance of two distribution functions at which their bounds are tightest."""
MASS_MARGIN = 0.02
"""Share of scores in one bin at which the bounds of the bins are tightest."""
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
    """Of seen - predicted: what the holdout's own size leaves unknown is in it."""
    raw_error: float
    """Of seen alone."""
    champion: float
    """The champion's mean on the same live requests."""
    units: float
    buckets: int


def of_pairs(paired: Paired, forecast: Forecast, metric: str) -> Drift | None:
    """Drift from pairs since the stage began; None when nothing was predicted or no pair was seen.

    The standard error is the largest of three: over users, over time, and of independent requests.
    """
    expected, count = forecast.of(metric), paired.count
    if expected is None or count <= 0:
        return None
    found, score = paired.moments, metric == "score"
    row = DIFF if score else FLIPS
    squares = found.total[DIFF_SQUARE] if score else found.total[ON] + found.total[OFF] + 1.0
    seen = found.mean(row)
    independent = sqrt(max(squares / count - seen**2, 0.0) / count)
    error = max(found.error(row), blocks.standard_error(paired.in_time, COLUMNS.index(metric)), independent)
    champion = found.mean(CANDIDATE) - seen if score else 0.0
    live = expected.live(paired.champion_histogram(forecast.bins))
    both = _with_holdout(error, error * error * count, forecast.rows)
    return Drift(seen, live, expected.overall, both, error, champion, count, found.users)


def of_arms(
    difference: tuple[float, float],
    champion: float,
    candidate: tuple[float, int],
    live_champion: Array,
    forecast: Forecast,
    metric: str,
) -> Drift | None:
    """Drift from the arms of a split.

    Parameters
    ----------
    difference : of the means, and its standard error.
    champion : the champion's mean.
    candidate : its requests, and the buckets that they came from.
    live_champion : the champion's score histogram, counts.
    """
    expected, (units, buckets) = forecast.of(metric), candidate
    if expected is None or units <= 0:
        return None
    error = difference[1]
    live = expected.live(live_champion)
    both = _with_holdout(error, _of_one_row(error, units, forecast, metric), forecast.rows)
    return Drift(difference[0], live, expected.overall, both, error, champion, units, buckets)


def _of_one_row(error: float, units: float, forecast: Forecast, metric: str) -> float:
    """Variance of one holdout row's difference. Both models scored the row, so it is that of flips, not of two independent arms."""
    own = error * error * units
    if metric == "score" or forecast.flips is None:
        return own
    return min(own, forecast.flips + 1.0 / max(forecast.rows, 1))


def _with_holdout(error: float, of_one_row: float, rows: int) -> float:
    """Add what the holdout's own size leaves unknown."""
    return sqrt(error * error + of_one_row / rows) if rows > 0 and error < inf else inf


@dataclass(frozen=True)
class Shape:
    """The candidate's score histogram, seen and predicted (re-weighted like the mean), as shares."""

    seen: Array
    due: Array
    count: float
    design: float
    """Variance of a share relative to independent scores: over users it is that of the scores, over time that of the differences."""
    rows: int
    """Of the holdout."""

    def errors(self, shares: Array) -> Array:
        """Standard errors of shares of scores."""
        middle = (shares * self.count + 1) / (self.count + 2)
        return np.sqrt(middle * (1 - middle) * self.design * (1 / self.count + 1 / max(self.rows, 1)))


def shape(paired: Paired, forecast: Forecast) -> Shape | None:
    """What the pairs show of the distribution; None where nothing was predicted or seen."""
    live = paired.candidate_histogram(forecast.bins)
    expected = forecast.histogram(paired.champion_histogram(forecast.bins))
    count = float(np.add.reduce(live))
    if expected is None or count <= 0:
        return None
    found, pairs = paired.moments, paired.count
    over_users = found.error(CANDIDATE) ** 2 * pairs / _variance(paired, CANDIDATE, CANDIDATE_SQUARE)
    over_time = blocks.standard_error(paired.in_time, COLUMNS.index("score")) ** 2 * pairs / _variance(paired, DIFF, DIFF_SQUARE)
    return Shape(live / count, expected, pairs, max(over_users, over_time, 1.0), forecast.rows)


def displacement(shape: Shape, alpha: float) -> tuple[float, float]:
    """How far score mass moved beyond the prediction, as a share of the score range: estimate and lower bound at all looks.

    The Wasserstein distance between the candidate's live histogram and the predicted one. The lower bound takes from every step of
    the distribution function its own half width at alpha over the number of steps.
    """
    seen, due = np.add.accumulate(shape.seen)[:-1], np.add.accumulate(shape.due)[:-1]
    distance, bins = np.abs(seen - due), len(shape.seen)
    sure = bounds.beyond(distance, shape.errors(seen), CUMULATIVE_MARGIN, alpha / (bins - 1))
    return float(np.add.reduce(distance)) / bins, float(np.add.reduce(sure)) / bins


def misplaced(shape: Shape, alpha: float) -> tuple[float, float]:
    """Share of the scores that lie in another bin than predicted, at whatever mean: estimate and lower bound at all looks.

    The total variation distance. What surely lies in bins of surplus bounds it from below, what is surely missing in bins of
    deficit does so too, and the larger counts; every bin has its own half width at alpha over the number of bins.
    """
    gap = shape.seen - shape.due
    distance = np.abs(gap)
    errors = shape.errors(np.maximum(shape.seen, shape.due))
    sure = bounds.beyond(distance, errors, MASS_MARGIN, alpha / len(gap))
    return float(np.add.reduce(distance)) / 2, float(max(sure[gap > 0].sum(), sure[gap < 0].sum()))


def _variance(paired: Paired, row: int, square_row: int) -> float:
    """Variance of one pair's value."""
    return max(paired.moments.mean(square_row) - paired.moments.mean(row) ** 2, 1e-12)
