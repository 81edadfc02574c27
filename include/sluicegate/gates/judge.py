"""Apply the gates to a case: a verdict for every gate and one for the stage. The same case, the same verdict, bit for bit."""

from sluicegate.domain.verdict import GateVerdict, StageVerdict, Verdict
from sluicegate.gates import budget, rules, share
from sluicegate.gates.case import Case
from sluicegate.gates.looks import REQUESTS

NO_HARM_SEEN = "no_harm_seen"
"""Reason of an undecided gate that nevertheless lets an early stage end: little is at risk, and nothing bad was seen."""


def judge(case: Case) -> StageVerdict:
    """The verdict of a stage on the evidence so far.

    FAIL as soon as one gate fails. PASS when the bake is over, the traffic is confirmed and every gate allows the next stage.
    Else INCONCLUSIVE, with the first reason why not.
    """
    gates = tuple(rules.RULES[name](case) for name in budget.gates_of(case.release, case.stage))
    failed = next((g for g in gates if g.verdict is Verdict.FAIL), None)
    if failed is not None:
        return StageVerdict(Verdict.FAIL, failed.reason, f"{failed.gate}: {failed.message}", gates)
    if case.frozen:
        message = "champion and candidate suffer together: the weight is held until it is over"
        return StageVerdict(Verdict.INCONCLUSIVE, "common_shock", message, gates, frozen=True)
    held = _holding(case, gates)
    if held is not None:
        return StageVerdict(Verdict.INCONCLUSIVE, *held, gates)
    undecided = any(g.verdict is not Verdict.PASS for g in gates)
    reason = NO_HARM_SEEN if undecided else "all_gates_pass"
    message = "no gate saw harm and little is at risk" if undecided else "every gate passed"
    return StageVerdict(Verdict.PASS, reason, f"{case.stage.name}: {message}", gates)


def _holding(case: Case, gates: tuple[GateVerdict, ...]) -> tuple[str, str] | None:
    """Reason and message of what keeps the stage from passing, or None."""
    for gate in gates:
        if gate.verdict is not Verdict.PASS and gate.reason != NO_HARM_SEEN:
            return gate.reason, f"{gate.gate}: {gate.message}"
    if case.gateway_source.problem and case.stage.kind == "split":
        return case.gateway_source.problem, "the gateway's counters are not known, so the traffic is not confirmed"
    if case.stage.kind == "split":
        realised = share.realised(case.routed, case.arms[:, REQUESTS], (case.stage.weight or 0) / 100)
        if not realised.confirmed:
            return "share_not_confirmed", (
                f"the candidate gets {realised.share:.1%} of the requests, its weight is {realised.weight:.0%}"
            )
    baked = case.taken_at - case.baked_from
    if baked < case.stage.bake:
        return "baking", f"{baked:.1f} s of the bake of {case.stage.bake:g} s are over"
    exposure = rules.exposure(case)
    if exposure < case.stage.min_requests:
        return "too_few_requests", f"{exposure:.0f} of at least {case.stage.min_requests} requests were seen"
    return None
