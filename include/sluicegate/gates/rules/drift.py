"""Rules `score` and `decision_rate`, seen against predicted, and beside them the raw rules that look at the champion alone."""

from collections.abc import Callable

from sluicegate.domain.verdict import GateVerdict, Verdict
from sluicegate.gates import blocks, bounds, budget, contrast, drift
from sluicegate.gates.case import Case
from sluicegate.gates.drift import Drift, Shape
from sluicegate.gates.looks import DECISIONS, HISTOGRAM, SCORE, Source
from sluicegate.gates.paired import COLUMNS
from sluicegate.gates.rules.common import failed, finite, pass_or_wait, undecided, why

ANY_HARM = 0.02
"""Where any harm fails, the bounds are tightest for this share of decisions, whatever margin PASS asks for."""


def score(case: Case) -> GateVerdict:
    """Mean score and score distribution, seen against predicted."""
    margin, alpha, gate = score_margin(case), case.gates["score"], case.release.gates.score
    if not uses_pairs(case):
        return _judged(case, "score", margin, margin, alpha)
    shape = alpha * budget.DISTRIBUTION_PART
    verdict = _judged(case, "score", margin, margin, alpha - shape)
    if verdict.verdict is Verdict.FAIL or gate is None:
        return verdict
    parts = 1 if gate.mass is None else 2
    low_end, high_end = case.score_range
    seen = drift.shape(case.paired, case.forecast)
    moved, moved_low = (x * (high_end - low_end) for x in _of_shape(drift.displacement, seen, shape / parts))
    numbers = {**verdict.numbers, "displacement": moved, "displacement_low": moved_low}
    if moved_low > margin:
        said = f"the scores lie {moved:.3f} from the predicted distribution, at least {moved_low:.3f}, margin {margin:g}"
        return failed("score", "distribution_not_as_predicted", said, numbers)
    if gate.mass is None:
        return GateVerdict("score", verdict.verdict, verdict.reason, verdict.message, numbers)
    share, share_low = _of_shape(drift.misplaced, seen, shape / parts)
    numbers |= {"misplaced": share, "misplaced_low": share_low, "mass_margin": gate.mass}
    if share_low <= gate.mass:
        return GateVerdict("score", verdict.verdict, verdict.reason, verdict.message, numbers)
    said = f"{share:.1%} of the scores lie elsewhere than predicted, at least {share_low:.1%}, margin {gate.mass:.1%}"
    return failed("score", "scores_misplaced", said, numbers)


def _of_shape(measure: Callable[[Shape, float], tuple[float, float]], seen: Shape | None, alpha: float) -> tuple[float, float]:
    return (0.0, 0.0) if seen is None else measure(seen, alpha)


def score_margin(case: Case) -> float:
    """In units of the score; a share of the predicted mean where the spec says so."""
    gate = case.release.gates.score
    if gate is None:
        return 0.0
    return gate.margin if gate.margin is not None else max((gate.within or 0.0) * abs(case.predicted.mean_score), 1e-9)


def decision_rate(case: Case) -> GateVerdict:
    """Share of positive decisions, seen against predicted."""
    gate = case.release.gates.decision_rate
    margin = gate.margin if gate else 0.0
    return _judged(case, "decision_rate", margin, 0.0 if gate and gate.any_harm else margin, case.gates["decision_rate"])


def uses_pairs(case: Case) -> bool:
    """Whether scores and decisions are judged on pairs, not on arms."""
    return case.stage.kind == "mirror" or case.paired.count > 0


def _drift(case: Case, metric: str) -> Drift | None:
    if uses_pairs(case):
        return drift.of_pairs(case.paired, case.forecast, metric)
    place, moved = (0 if metric == "score" else 1), case.arms_in_time
    difference, error = (float(x) for x in contrast.difference(case.contrast, case.arms[0], place))
    excess = blocks.excess(error, blocks.standard_error(moved, COLUMNS.index(metric)), moved)
    gate = case.release.gates.decision_rate
    if metric == "decision_rate" and gate is not None and gate.any_harm:
        error = contrast.error_of_equals(case.contrast, case.arms, place)
    champion, candidate = case.moments
    live = case.arms[0, HISTOGRAM, : case.forecast.bins]
    mean = champion.mean(SCORE if metric == "score" else DECISIONS)
    units = (candidate.requests, candidate.users)
    return drift.of_arms((difference, error * excess), mean, units, live, case.forecast, metric)


def _source(case: Case) -> Source:
    return case.pairs_source if uses_pairs(case) else case.arms_source


def _not_yet(case: Case, gate: str, numbers: dict[str, float]) -> GateVerdict:
    reason = _source(case).problem or "too_few_requests"
    return undecided(gate, reason, why(case, reason), numbers)


def _judged(case: Case, name: str, margin: float, fail_beyond: float, alpha: float) -> GateVerdict:
    """Seen minus predicted within the margin, both ways: an unpredicted fall is as suspicious as a rise."""
    found = _drift(case, name)
    if found is None or found.buckets < drift.FEW_BUCKETS:
        return _not_yet(case, name, {"margin": margin})
    gap = abs(found.seen - found.predicted)
    tuned = margin if fail_beyond else min(2 * margin, ANY_HARM)
    low = gap - bounds.half_width(found.standard_error, tuned, alpha)
    high = gap + bounds.half_width(found.standard_error, margin, 2 * budget.pass_alpha(case.release))  # two one-sided tests
    numbers = {
        "seen_difference": found.seen,
        "predicted_difference": found.predicted,
        "holdout_difference": found.holdout,
        **_raw_shift(found),
        "harm": gap,
        "harm_low": max(0.0, low),
        "harm_high": finite(high),
        "margin": margin,
        "standard_error": finite(found.standard_error),
        "requests": found.units,
        "buckets": float(found.buckets),
        "pairs": float(uses_pairs(case)),
        "alpha": alpha,
    }
    said = f"candidate - champion is {found.seen:+.4f}, predicted {found.predicted:+.4f}"
    if low > fail_beyond:
        limit = f"by more than the margin {margin:g}" if fail_beyond else "by more than chance explains"
        return failed(name, "not_as_predicted", f"{said}: off {limit}", numbers)
    return pass_or_wait(case, name, (_source(case),), said, numbers, margin=margin, risk=margin)


def _raw_shift(found: Drift) -> dict[str, float]:
    """The shift of the mean as a share of the champion's, seen and predicted: what a raw rule would look at."""
    if not found.champion:
        return {}
    unit = abs(found.champion)
    return {"champion_mean": found.champion, "raw_shift": found.seen / unit, "predicted_shift": found.predicted / unit}


def raw_score_mean(case: Case) -> GateVerdict:
    """The mean score within a share of the champion's, as a regulation may have it."""
    rule = case.release.gates.raw_score_mean
    return _raw(case, "raw_score_mean", "score", rule.within if rule else 0.0)


def raw_decision_rate(case: Case) -> GateVerdict:
    """The share of positive decisions within so many points of the champion's."""
    rule = case.release.gates.raw_decision_rate
    return _raw(case, "raw_decision_rate", "decision_rate", rule.within if rule else 0.0)


def _raw(case: Case, name: str, metric: str, within: float) -> GateVerdict:
    found, alpha = _drift(case, metric), case.gates[name]
    if found is None or found.buckets < drift.FEW_BUCKETS or (metric == "score" and not found.champion):
        return _not_yet(case, name, {"margin": within})
    unit = abs(found.champion) if metric == "score" else 1.0
    shift, error = found.seen / unit, found.raw_error / unit
    low = abs(shift) - bounds.half_width(error, within, alpha)
    high = abs(shift) + bounds.half_width(error, within, 2 * budget.pass_alpha(case.release))
    numbers = {
        "raw_shift": shift,
        "predicted_shift": found.predicted / unit,
        "harm": abs(shift),
        "harm_low": max(0.0, low),
        "harm_high": finite(high),
        "margin": within,
        "requests": found.units,
        "alpha": alpha,
    }
    what = "the mean score" if metric == "score" else "the share of positive decisions"
    said = f"{what} moved by {shift:+.1%} against the champion, {found.predicted / unit:+.1%} were predicted"
    if low > within:
        message = f"{said}; the rule as written allows {within:.1%}. It does not ask which of the two models is better"
        return failed(name, "raw_rule", message, numbers)
    return pass_or_wait(case, name, (_source(case),), said, numbers, margin=within, risk=within)
