"""What the candidate will do once it serves, as far as the holdout can tell: the online judge tests what it sees against this."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.paired import Codes, Vector, mean_error
from sluicegate.domain.evidence import SCORE_BINS, Predicted

Decided = NDArray[np.bool_]


def predict(
    candidate: Vector,
    champion: Vector | None,
    clusters: Codes,
    *,
    threshold: float,
    champion_threshold: float | None = None,
    score_range: tuple[float, float],
) -> Predicted:
    """Means, rates and histograms on the holdout, with clustered standard errors in `extra`.

    Parameters
    ----------
    candidate, champion
        Scores of the same rows, shape (n,); champion is None when there is none yet.
    clusters
        Unit of each row, shape (n,).
    threshold
        A decision is positive at or above it, in units of the score.
    champion_threshold
        The champion's, by default the same.
    score_range
        Range of the histogram; scores outside fall in the outer bins.
    """
    decided = candidate >= threshold
    alone = Predicted(
        candidate.size,
        float(candidate.mean()),
        float(decided.mean()),
        histogram(candidate, score_range),
        extra=_errors(mean_score_se=(candidate, clusters), decision_rate_se=(decided.astype(np.float64), clusters)),
    )
    if champion is None:
        return alone
    before = champion >= (threshold if champion_threshold is None else champion_threshold)
    both = _beside(candidate, champion, decided, before, score_range)
    return replace(alone, **both, extra={**alone.extra, **_errors(mean_difference_se=(candidate - champion, clusters))})


def _beside(
    candidate: Vector, champion: Vector, decided: Decided, before: Decided, score_range: tuple[float, float]
) -> dict[str, Any]:
    """What needs both models' scores."""
    return {
        "champion_mean_score": float(champion.mean()),
        "champion_decision_rate": float(before.mean()),
        "champion_histogram": histogram(champion, score_range),
        "mean_difference": float((candidate - champion).mean()),
        "flips_on": float((decided & ~before).mean()),
        "flips_off": float((~decided & before).mean()),
        "difference_by_champion_bin": _by_bin(candidate - champion, champion, score_range),
        "decision_difference_by_champion_bin": _by_bin(decided.astype(np.float64) - before, champion, score_range),
        "joint_histogram": _joint(champion, candidate, score_range),
    }


def histogram(scores: Vector, score_range: tuple[float, float]) -> tuple[float, ...]:
    """Shares in SCORE_BINS equal bins of the range; out of range falls in the outer bins."""
    return _shares(np.bincount(_bins(scores, score_range), minlength=SCORE_BINS))


def _bins(scores: Vector, score_range: tuple[float, float]) -> NDArray[np.intp]:
    low, high = score_range
    place: NDArray[np.intp] = np.clip((scores - low) / (high - low) * SCORE_BINS, 0, SCORE_BINS - 1).astype(np.intp)
    return place


def _by_bin(values: Vector, champion: Vector, score_range: tuple[float, float]) -> tuple[float, ...]:
    """Mean of the values where the champion's score falls in each bin; 0 where it never does."""
    place = _bins(champion, score_range)
    counts = np.maximum(np.bincount(place, minlength=SCORE_BINS), 1)
    return tuple((np.bincount(place, values, SCORE_BINS) / counts).tolist())


def _joint(champion: Vector, candidate: Vector, score_range: tuple[float, float]) -> tuple[float, ...]:
    place = _bins(champion, score_range) * SCORE_BINS + _bins(candidate, score_range)
    return _shares(np.bincount(place, minlength=SCORE_BINS**2))


def _shares(counts: NDArray[np.intp]) -> tuple[float, ...]:
    return tuple((counts / counts.sum()).tolist())


def _errors(**values: tuple[Vector, Codes]) -> dict[str, float]:
    found = {name: mean_error(*both) for name, both in values.items()}
    return {name: error for name, error in found.items() if np.isfinite(error)}
