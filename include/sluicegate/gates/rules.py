"""The gates by name: from the evidence of a case to one GateVerdict each."""

from collections.abc import Callable, Mapping
from math import inf, log

from sluicegate.domain.verdict import GateVerdict, Verdict
from sluicegate.gates import bounds, budget, contrast, drift, failures, latency
from sluicegate.gates.case import Case
from sluicegate.gates.drift import Drift
from sluicegate.gates.looks import HISTOGRAM, PAIRS, REQUESTS, Source

NO_HARM_SEEN = "no_harm_seen"
"""Reason of an undecided gate that nevertheless lets an early stage end: little is at risk, and nothing bad was seen."""


def exposure(case: Case) -> float:
    """Units that a gate may rest on: pairs at a mirror stage, else the candidate's requests."""
    return float(case.pairs[PAIRS].sum()) if case.stage.kind == "mirror" else float(case.arms[1, REQUESTS].sum())


def p95_ms(case: Case) -> GateVerdict:
    """At most 5 % of the candidate's requests slower than the bound, or than the champion's at the same time."""
    bound = case.release.gates.p95_ms or 0.0
    alpha = budget.fail_alpha(case.release, case.stage)
    champion, candidate, low, high = latency.bounds(case.latency, case.arms, budget.pass_alpha(case.release), alone=case.alone)
    evidence = float(case.latency.process.log_peak)
    numbers = {
        "bound_ms": bound,
        "champion_slow_share": champion,
        "candidate_slow_share": candidate,
        "harm": candidate - max(budget.SLOW_SHARE, champion),
        "harm_low": low,
        "harm_high": high,
        "requests": float(case.latency.clean[1, 0]),
        "log_evidence": evidence,
        "log_evidence_to_fail": -log(alpha),
        "alpha": alpha,
    }
    said = f"{candidate:.1%} of the candidate's requests are slower than {bound:g} ms, {champion:.1%} of the champion's"
    if evidence >= -log(alpha):
        return GateVerdict("p95_ms", Verdict.FAIL, "slower_than_bound", f"{said}: more than the 5 % that a p95 allows", numbers)
    if not case.bound_counted:
        message = f"the candidate's server does not count requests slower than {bound:g} ms"
        return GateVerdict("p95_ms", Verdict.INCONCLUSIVE, "not_measured", message, numbers)
    return _undecided_or_pass(case, "p95_ms", (case.arms_source,), said, numbers, margin=0.0, risk=budget.SLOW_RISK)


def error_rate(case: Case) -> GateVerdict:
    """No more errors than the champion at the same time, as servers and gateway count them."""
    gate = case.release.gates.error_rate
    margin = gate.margin if gate else 0.0
    alpha = budget.fail_alpha(case.release, case.stage)
    champion, candidate, low, high = failures.bounds(
        case.failures, case.arms, budget.pass_alpha(case.release), reference=case.reference_errors
    )
    evidence = float((case.failures.by_share if case.alone else case.failures.by_arm).log_peak)
    numbers = {
        "champion_error_rate": champion,
        "candidate_error_rate": candidate,
        "champion_errors": float(case.failures.used[0, 1]),
        "candidate_errors": float(case.failures.used[1, 1]),
        "harm": candidate - champion,
        "harm_low": low,
        "harm_high": high,
        "margin": margin,
        "requests": float(case.failures.clean[1, 0]),
        "log_evidence": evidence,
        "log_evidence_to_fail": -log(alpha),
        "alpha": alpha,
    }
    said = f"{candidate:.2%} of the candidate's requests failed, {champion:.2%} of the champion's"
    if evidence >= -log(alpha):
        return GateVerdict("error_rate", Verdict.FAIL, "more_errors", f"{said}: more than chance explains", numbers)
    sources = (case.gateway_source, case.arms_source)
    return _undecided_or_pass(case, "error_rate", sources, said, numbers, margin=margin, risk=margin)


def score(case: Case) -> GateVerdict:
    """Mean score and score distribution, seen against predicted."""
    margin = case.release.gates.score.margin if case.release.gates.score else 0.0
    alpha = budget.fail_alpha(case.release, case.stage)
    if not _uses_pairs(case):
        return _drift_verdict(case, "score", margin, alpha)
    shape, mean = alpha * budget.DISTRIBUTION_PART, alpha * (1 - budget.DISTRIBUTION_PART)
    verdict = _drift_verdict(case, "score", margin, mean)
    if verdict.verdict is Verdict.FAIL:
        return verdict
    low_end, high_end = case.score_range
    moved, moved_low = drift.displacement(case.pairs, case.pairs_in_time, case.predicted, shape)
    width = high_end - low_end
    numbers = {**verdict.numbers, "displacement": moved * width, "displacement_low": moved_low * width}
    if numbers["displacement_low"] <= margin:
        return GateVerdict("score", verdict.verdict, verdict.reason, verdict.message, numbers)
    said = f"the scores lie {moved * width:.3f} from the predicted distribution, at least {moved_low * width:.3f}"
    return GateVerdict("score", Verdict.FAIL, "distribution_not_as_predicted", f"{said}, margin {margin:g}", numbers)


def decision_rate(case: Case) -> GateVerdict:
    """Share of positive decisions, seen against predicted."""
    gate = case.release.gates.decision_rate
    return _drift_verdict(case, "decision_rate", gate.margin if gate else 0.0, budget.fail_alpha(case.release, case.stage))


def _uses_pairs(case: Case) -> bool:
    return case.stage.kind == "mirror" or float(case.pairs[PAIRS].sum()) > 0


def _drift(case: Case, metric: str) -> Drift | None:
    if _uses_pairs(case):
        return drift.of_pairs(case.pairs, case.pairs_in_time, case.predicted, metric)
    difference = contrast.difference(case.contrast, case.arms[0], 0 if metric == "score" else 1)
    live = case.arms[0, HISTOGRAM, : len(case.predicted.histogram)]
    return drift.of_arms(difference, case.arms[:, REQUESTS], case.arms_in_time, live, case.predicted, metric)


def _drift_verdict(case: Case, name: str, margin: float, alpha: float) -> GateVerdict:
    """Seen minus predicted within the margin, both ways: an unpredicted fall is as suspicious as a rise."""
    source = case.pairs_source if _uses_pairs(case) else case.arms_source
    found = _drift(case, name)
    if found is None or found.buckets < drift.FEW_BUCKETS:
        reason = source.problem or "too_few_requests"
        return GateVerdict(name, Verdict.INCONCLUSIVE, reason, _why(case, reason), {"margin": margin})
    gap = abs(found.seen - found.predicted)
    low = gap - bounds.half_width(found.standard_error, margin, alpha)
    high = gap + bounds.half_width(found.standard_error, margin, 2 * budget.pass_alpha(case.release))  # two one-sided tests
    numbers = {
        "seen_difference": found.seen,
        "predicted_difference": found.predicted,
        "holdout_difference": found.holdout,
        "harm": gap,
        "harm_low": max(0.0, low),
        "harm_high": min(high, 1e300),
        "margin": margin,
        "standard_error": min(found.standard_error, 1e300),
        "requests": found.units,
        "buckets": float(found.buckets),
        "pairs": float(_uses_pairs(case)),
        "alpha": alpha,
    }
    said = f"candidate - champion is {found.seen:+.4f}, predicted {found.predicted:+.4f}"
    if low > margin:
        return GateVerdict(name, Verdict.FAIL, "not_as_predicted", f"{said}: off by more than the margin {margin:g}", numbers)
    return _undecided_or_pass(case, name, (source,), said, numbers, margin=margin, risk=margin)


def _undecided_or_pass(
    case: Case, name: str, sources: tuple[Source, ...], said: str, numbers: dict[str, float], *, margin: float, risk: float
) -> GateVerdict:
    """PASS, or why not yet; `numbers` hold harm, harm_high and requests, `risk` is what an early stage may stake."""
    problem = next((s.problem for s in sources if s.problem), "")
    if problem:
        return GateVerdict(name, Verdict.INCONCLUSIVE, problem, _why(case, problem), numbers)
    if numbers["requests"] < case.stage.min_requests:
        message = f"{numbers['requests']:.0f} of at least {case.stage.min_requests} requests were seen"
        return GateVerdict(name, Verdict.INCONCLUSIVE, "too_few_requests", message, numbers)
    if numbers["harm_high"] < margin:
        return GateVerdict(name, Verdict.PASS, "within_margin", f"{said}: within the margin", numbers)
    if numbers["harm"] <= margin and _at_stake(case, name, numbers["harm_high"]) <= risk:
        return GateVerdict(name, Verdict.INCONCLUSIVE, NO_HARM_SEEN, f"{said}: not decided, but little is at risk", numbers)
    return GateVerdict(name, Verdict.INCONCLUSIVE, "undecided", f"{said}: the evidence does not decide yet", numbers)


def _at_stake(case: Case, name: str, harm_high: float) -> float:
    """Worst harm that is still possible, as a share of all requests; infinite where a real PASS is needed."""
    if case.stage.kind == "mirror":
        return 0.0 if name == "error_rate" else inf
    return inf if budget.needs_pass(case.release, case.stage) else harm_high * (case.stage.weight or 0) / 100


def _why(case: Case, reason: str) -> str:
    missing = "; ".join(case.missing) or "no reading of it"
    return {
        "source_missing": f"no evidence: {missing}",
        "counter_reset": "a counter began anew, so this look shows nothing",
        "not_a_number": "a counter is not a number, so this look shows nothing",
    }.get(reason, "too few users were seen, or nothing was predicted")


RULES: Mapping[str, Callable[[Case], GateVerdict]] = {
    "p95_ms": p95_ms,
    "error_rate": error_rate,
    "score": score,
    "decision_rate": decision_rate,
}
