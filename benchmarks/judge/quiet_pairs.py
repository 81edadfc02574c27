"""The pairs of a whole stage at once, and the proof that they kept within the margins of `score` and `decision_rate` at every look."""

import numpy as np

from judge.proof import clear, reach
from judge.world import Array
from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.gates import blocks, moments
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.budget import DISTRIBUTION_PART
from sluicegate.gates.case import Case
from sluicegate.gates.looks import CANDIDATE, DIFF, OFF, ON
from sluicegate.gates.moments import Moments
from sluicegate.gates.paired import FLIPS, Paired
from sluicegate.gates.rules.drift import score_margin


def paired(case: Case, rows: dict[str, Array]) -> Paired:
    told = np.zeros((len(rows["pairs"]) - 1, 9, rows["pairs"].shape[-1]))
    pairs = rows["pairs"][1:] - rows["pairs"][0]
    told[:, :7] = pairs[:, (0, 1, 2, 3, 4, 7, 8)]
    histograms = (rows["pair_bins"][1:, 0] - rows["pair_bins"][0, 0]).reshape(-1, 2, SCORE_BINS)
    told[:, 7:, :SCORE_BINS] = histograms
    clear(bool(told[0, 0].any()))
    table = np.concatenate((told[:, :7], (told[:, ON] - told[:, OFF])[:, None]), axis=1)
    found = moments.of(table)
    sums = np.diff(np.add.reduce(table, axis=-1), axis=0, prepend=0.0)
    in_time = Blocks()
    for look in sums[:, (0, DIFF, FLIPS)]:
        in_time = blocks.push(in_time, look)
    late = range(blocks.LEAST - 1, len(found))
    clear(_as_predicted(case, [found[t] for t in late], histograms[late.start :]))
    return Paired(told[-1], found[-1], in_time)


def _as_predicted(case: Case, found: list[Moments], histograms: Array) -> bool:
    """Whether mean score, decisions and distribution surely kept within their margins at each of these looks."""
    forecast, gates = case.forecast, case.release.gates
    if forecast.score is None or forecast.decision is None or gates.score is None or gates.decision_rate is None:
        return False
    count = np.add.reduce(histograms[:, 0], axis=-1)
    harmless = 0.0 if gates.decision_rate.any_harm else gates.decision_rate.margin
    for expected, row, margin, alpha in (
        (forecast.score, DIFF, score_margin(case), case.gates["score"]),
        (forecast.decision, FLIPS, harmless, case.gates["decision_rate"]),
    ):
        if expected.by_bin is None:
            return False
        due = np.add.reduce(expected.by_bin * histograms[:, 0], axis=-1) / count
        gap = np.abs(np.array([m.mean(row) for m in found]) - due)
        if (gap - reach(alpha) * np.array([m.error(row) for m in found]) > margin).any():
            return False
    return _same_shape(case, found, histograms, count)


def _same_shape(case: Case, found: list[Moments], histograms: Array, count: Array) -> bool:
    forecast, gate = case.forecast, case.release.gates.score
    if forecast.joint is None or gate is None or gate.mass is None:
        return False
    alpha = case.gates["score"] * DISTRIBUTION_PART / 2
    clustered = [m.error(CANDIDATE) ** 2 * m.requests / max(m.mean(CANDIDATE + 1) - m.mean(CANDIDATE) ** 2, 1e-12) for m in found]
    seen, due = histograms[:, 1] / count[:, None], histograms[:, 0] @ forecast.joint / count[:, None]
    design = np.maximum(clustered, 1.0)[:, None]

    def sure(gap: Array, shares: Array, reach: float) -> Array:
        middle = (shares * count[:, None] + 1) / (count[:, None] + 2)
        errors = np.sqrt(middle * (1 - middle) * design * (1 / count + 1 / max(forecast.rows, 1))[:, None])
        return np.maximum(np.abs(gap) - reach * errors, 0.0)

    steps, bins = np.add.accumulate(seen - due, axis=1)[:, :-1], seen.shape[1]
    moved = np.add.reduce(sure(steps, np.add.accumulate(seen, axis=1)[:, :-1], reach(alpha / (bins - 1))), axis=1) / bins
    apart = sure(seen - due, np.maximum(seen, due), reach(alpha / bins))
    return bool((moved <= score_margin(case)).all() and (np.add.reduce(apart, axis=1) <= gate.mass).all())
