"""Rule `segments`: no segment suffers what the whole does not show."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf, log, sqrt

import numpy as np

from sluicegate.domain.evidence import SEGMENT_BUCKETS
from sluicegate.domain.verdict import GateVerdict, Verdict
from sluicegate.gates import bounds, contrast
from sluicegate.gates.case import Case
from sluicegate.gates.looks import DECISIONS, ERRORS, REQUESTS, SLOW, Array
from sluicegate.gates.rules.common import NO_HARM_SEEN, NOT_MEASURED, failed, undecided, unknown
from sluicegate.gates.segments import log_shares

FEW_GROUPS = 10
"""Groups of users that a segment's candidate arm must have for a difference of means: variance over fewer is not known."""


@dataclass(frozen=True)
class Suspicion:
    """How strongly one metric of the most suspicious segment speaks of harm; at 0 and above it is proven."""

    metric: str
    segment: str
    excess: float
    """Log evidence beyond what is needed (errors, slow); for decisions the lower bound beyond the margin."""
    message: str


def segments(case: Case) -> GateVerdict:
    """FAIL when harm is proven in one segment. PASS does not prove each small segment harmless: it says that none was seen harmed."""
    found = case.segments
    numbers = {"segments": float(len(found.names)), "requests": case.moments[1].requests}
    suspicions = list(_suspicions(case)) if found.names else []
    for one in suspicions:
        numbers[f"{one.metric}_excess"] = one.excess
    proven = next((one for one in suspicions if one.excess >= 0), None)
    if proven is not None:
        return failed("segments", f"segment_{proven.metric}", f"{proven.segment}: {proven.message}", numbers)
    problem = unknown(case, "segments", (found.source,), numbers)
    if problem is not None:
        return problem
    if not found.names:
        return undecided("segments", NOT_MEASURED, "the servers count no segment", numbers)
    if numbers["requests"] < case.stage.min_requests:
        message = f"{numbers['requests']:.0f} of at least {case.stage.min_requests} requests were seen"
        return undecided("segments", "too_few_requests", message, numbers)
    return GateVerdict("segments", Verdict.PASS, NO_HARM_SEEN, f"no harm was seen in any of {len(found.names)} segments", numbers)


def _metrics(case: Case) -> tuple[str, ...]:
    gates = case.release.gates
    slow = gates.p95_ms is not None and case.stage.kind == "split"
    named = (("errors", gates.error_rate is not None), ("slow", slow), ("decisions", gates.decision_rate is not None))
    return tuple(metric for metric, wanted in named if wanted)


def _suspicions(case: Case) -> Iterator[Suspicion]:
    """The most suspicious segment by each metric; the gate's budget is split over metrics equally, then over segments."""
    metrics = _metrics(case)
    found, shares = case.segments, log_shares(case.segments)
    for metric in metrics:
        log_alpha = log(case.gates["segments"] / len(metrics))
        if metric == "decisions":
            yield from _decisions(case, shares, log_alpha)
            continue
        process, row = (found.errors, ERRORS) if metric == "errors" else (found.slow, SLOW)
        if not process.looks:
            continue
        excess = process.log_peak + shares + log_alpha
        place = int(np.argmax(excess))
        counts = np.add.reduce(found.total[place], axis=-1)
        word = "failed" if metric == "errors" else "are slow"
        said = f"{_share(counts[1], row):.1%} of the candidate's requests {word}, {_share(counts[0], row):.1%} of the champion's"
        yield Suspicion(metric, found.names[place], float(excess[place]), said)


def _share(arm: Array, row: int) -> float:
    return float(arm[row] / max(arm[REQUESTS], 1.0))


def _decisions(case: Case, shares: Array, log_alpha: float) -> Iterator[Suspicion]:
    """Segments whose decisions were predicted, and whose users are many enough."""
    found, gate = case.segments, case.release.gates.decision_rate
    margin = gate.margin if gate else 0.0
    seen, errors = contrast.difference(found.contrast, found.total[:, 0], contrast.DECISION)
    asked = found.total[:, 1, REQUESTS]
    groups, units = np.add.reduce(asked > 0, axis=-1).tolist(), np.add.reduce(asked, axis=-1).tolist()
    worst, where = -inf, -1
    for place, (name, apart, error) in enumerate(zip(found.names, seen.tolist(), errors.tolist(), strict=True)):
        told = case.predicted.segments.get(name)
        if told is None or told.rows <= 0 or groups[place] < FEW_GROUPS or error == inf:
            continue
        widened = error * sqrt(SEGMENT_BUCKETS / (SEGMENT_BUCKETS - 3)) * sqrt(1 + units[place] / told.rows)  # so few groups
        low = abs(apart - told.decision_difference) - bounds.half_width(widened, margin, exp(log_alpha + float(shares[place])))
        if low > worst or where < 0:
            worst, where = low, place
    if where >= 0:
        yield Suspicion("decisions", found.names[where], worst - margin, _of_decisions(case, where, float(seen[where])))


def _of_decisions(case: Case, place: int, seen: float) -> str:
    arm, told = np.add.reduce(case.segments.total[place, 1], axis=-1), case.predicted.segments[case.segments.names[place]]
    told_said = f"{seen:+.1%} against the champion, predicted {told.decision_difference:+.1%}"
    return f"{_share(arm, DECISIONS):.1%} of the candidate's decisions are positive, {told_said}"
