"""Rules `p95_ms` and `error_rate`: counted events."""

from math import log

from sluicegate.domain.verdict import GateVerdict
from sluicegate.gates import budget, failures, latency
from sluicegate.gates.case import Case
from sluicegate.gates.rules.common import NOT_MEASURED, failed, pass_or_wait, undecided


def p95_ms(case: Case) -> GateVerdict:
    """At most 5 % of the candidate's requests slower than the bound, or than the champion's at the same time."""
    bound = case.release.gates.p95_ms or 0.0
    alpha = case.gates["p95_ms"]
    champion, candidate, low, high = latency.bounds(case.latency, case.moments, budget.pass_alpha(case.release), alone=case.alone)
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
        return failed("p95_ms", "slower_than_bound", f"{said}: more than the 5 % that a p95 allows", numbers)
    if not case.bound_counted:
        message = f"the candidate's server does not count requests slower than {bound:g} ms"
        return undecided("p95_ms", NOT_MEASURED, message, numbers)
    return pass_or_wait(case, "p95_ms", (case.arms_source,), said, numbers, margin=0.0, risk=budget.SLOW_RISK)


def error_rate(case: Case) -> GateVerdict:
    """No more errors than the champion at the same time, as servers and gateway count them."""
    gate = case.release.gates.error_rate
    margin = gate.margin if gate else 0.0
    alpha = case.gates["error_rate"]
    champion, candidate, low, high = failures.bounds(
        case.failures, case.moments, budget.pass_alpha(case.release), reference=case.reference_errors
    )
    evidence = case.failures.log_peak
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
        return failed("error_rate", "more_errors", f"{said}: more than chance explains", numbers)
    sources = (case.gateway_source, case.arms_source)
    return pass_or_wait(case, "error_rate", sources, said, numbers, margin=margin, risk=margin)
