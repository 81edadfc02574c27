"""What all rules share: PASS, or why not yet."""

from math import inf

from sluicegate.domain.verdict import GateVerdict, Verdict
from sluicegate.gates import budget
from sluicegate.gates.case import Case
from sluicegate.gates.looks import Source

NO_HARM_SEEN = "no_harm_seen"
"""Reason of an undecided gate that nevertheless lets an early stage end: little is at risk, and nothing bad was seen."""
NOT_MEASURED = "not_measured"
"""Reason of a gate whose numbers a server does not count."""
UNSEEN_GATES = ("score", "decision_rate")
"""Gates that must PASS at a mirror stage, which exists for them; of the others it suffices that no harm was seen."""


def failed(gate: str, reason: str, message: str, numbers: dict[str, float]) -> GateVerdict:
    """Harm is proven."""
    return GateVerdict(gate, Verdict.FAIL, reason, message, numbers)


def undecided(gate: str, reason: str, message: str, numbers: dict[str, float]) -> GateVerdict:
    """Nothing is proven, for this reason."""
    return GateVerdict(gate, Verdict.INCONCLUSIVE, reason, message, numbers)


def unknown(case: Case, gate: str, sources: tuple[Source, ...], numbers: dict[str, float]) -> GateVerdict | None:
    """INCONCLUSIVE with the reason why the newest look is not known, or None when it is."""
    problem = next((s.problem for s in sources if s.problem), "")
    return undecided(gate, problem, why(case, problem), numbers) if problem else None


def pass_or_wait(
    case: Case, gate: str, sources: tuple[Source, ...], said: str, numbers: dict[str, float], *, margin: float, risk: float
) -> GateVerdict:
    """PASS, or why not yet; `numbers` hold harm, harm_high and requests, `risk` is what an early stage may stake."""
    problem = unknown(case, gate, sources, numbers)
    if problem is not None:
        return problem
    if numbers["requests"] < case.stage.min_requests:
        message = f"{numbers['requests']:.0f} of at least {case.stage.min_requests} requests were seen"
        return undecided(gate, "too_few_requests", message, numbers)
    if numbers["harm_high"] < margin:
        return GateVerdict(gate, Verdict.PASS, "within_margin", f"{said}: within the margin", numbers)
    if numbers["harm"] <= margin and _at_stake(case, gate, numbers["harm_high"]) <= risk:
        return undecided(gate, NO_HARM_SEEN, f"{said}: not decided, but little is at risk", numbers)
    return undecided(gate, "undecided", f"{said}: the evidence does not decide yet", numbers)


def _at_stake(case: Case, gate: str, harm_high: float) -> float:
    """Worst harm that is still possible, as a share of all requests; infinite where a real PASS is needed."""
    if case.stage.kind == "mirror":
        return inf if gate in UNSEEN_GATES else 0.0
    return inf if budget.needs_pass(case.release, case.stage) else harm_high * (case.stage.weight or 0) / 100


def why(case: Case, reason: str) -> str:
    """A sentence for a reason why something is not known."""
    missing = "; ".join(case.missing) or "no reading of it"
    return {
        "source_missing": f"no evidence: {missing}",
        "counter_reset": "a counter began anew, so this look shows nothing",
        "not_a_number": "a counter is not a number, so this look shows nothing",
    }.get(reason, "too few users were seen, or nothing was predicted")


def finite(value: float) -> float:
    """The value, or the greatest that JSON and every reader of the journal can hold."""
    return max(min(value, 1e300), -1e300)
