"""Apply the gates to a case: a verdict for every gate and one for the stage. The same case, the same verdict, bit for bit."""

from sluicegate.domain.verdict import GateVerdict, StageVerdict, Verdict
from sluicegate.gates import rules, share
from sluicegate.gates.case import Case
from sluicegate.gates.looks import PROBLEMS, REQUESTS


def judge(case: Case) -> StageVerdict:
    """The verdict of a stage on the evidence so far.

    FAIL as soon as one gate fails. PASS when the bake is over, the traffic is confirmed and every gate allows the next stage.
    Else INCONCLUSIVE, with the first reason why not.
    """
    gates = tuple(rules.RULES[name](case) for name in case.gates)
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
    reason = rules.NO_HARM_SEEN if undecided else "all_gates_pass"
    message = "no gate saw harm and little is at risk" if undecided else "every gate passed"
    return StageVerdict(Verdict.PASS, reason, f"{case.stage.name}: {message}", gates)


def _holding(case: Case, gates: tuple[GateVerdict, ...]) -> tuple[str, str] | None:
    """Reason and message of what keeps the stage from passing, or None: first what is not known, then what is not decided."""
    waiting = [g for g in gates if g.verdict is not Verdict.PASS and g.reason != rules.NO_HARM_SEEN]
    for gate in waiting:
        if gate.reason in PROBLEMS:
            return gate.reason, f"{gate.gate}: {gate.message}"
    moved = _not_moved(case) if case.stage.kind == "split" else None
    if moved is not None:
        return moved
    if waiting:
        return waiting[0].reason, f"{waiting[0].gate}: {waiting[0].message}"
    baked = case.taken_at - case.baked_from
    if baked < case.stage.bake:
        return "baking", f"{baked:.1f} s of the bake of {case.stage.bake:g} s are over"
    exposure = rules.exposure(case)
    if exposure < case.stage.min_requests:
        return "too_few_requests", f"{exposure:.0f} of at least {case.stage.min_requests} requests were seen"
    return None


def _not_moved(case: Case) -> tuple[str, str] | None:
    """Why the traffic is not confirmed to be where the weight says, or None."""
    if case.gateway_source.problem:
        return case.gateway_source.problem, "the gateway's counters are not known, so the traffic is not confirmed"
    realised = share.realised(case.routed, case.arms[:, REQUESTS], (case.stage.weight or 0) / 100)
    if realised.confirmed:
        return None
    if realised.expected < share.LEAST_EXPECTED:
        return "too_few_requests", f"{realised.expected:.0f} requests were due to the candidate: too few to confirm its weight"
    return "share_not_confirmed", f"the candidate gets {realised.share:.1%} of the requests, its weight is {realised.weight:.0%}"
