"""The gates by name: from the evidence of a case to one GateVerdict each. One file a family."""

from collections.abc import Callable, Mapping

from sluicegate.domain.verdict import GateVerdict
from sluicegate.gates.case import Case
from sluicegate.gates.rules.common import NO_HARM_SEEN
from sluicegate.gates.rules.drift import decision_rate, raw_decision_rate, raw_score_mean, score
from sluicegate.gates.rules.events import error_rate, p95_ms
from sluicegate.gates.rules.labels import STALLED, labels
from sluicegate.gates.rules.load import cpu_ms, memory_mb, throughput, value
from sluicegate.gates.rules.segments import segments

__all__ = ["NO_HARM_SEEN", "RULES", "STALLED", "exposure"]

RULES: Mapping[str, Callable[[Case], GateVerdict]] = {
    rule.__name__: rule
    for rule in (
        *(p95_ms, error_rate, score, decision_rate, throughput, cpu_ms, memory_mb),
        *(value, labels, segments, raw_score_mean, raw_decision_rate),
    )
}


def exposure(case: Case) -> float:
    """Units that a gate may rest on: pairs at a mirror stage, else the candidate's requests."""
    return case.paired.count if case.stage.kind == "mirror" else case.moments[1].requests
