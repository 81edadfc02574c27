"""Rule `segments`: no segment suffers what the whole does not show."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log

import numpy as np

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
        counts = found.total[place].sum(axis=-1)
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
    groups = (found.total[:, 1, REQUESTS] > 0).sum(axis=-1)
    worst: Suspicion | None = None
    for place, name in enumerate(found.names):
        told = case.predicted.segments.get(name)
        if told is None or told.rows <= 0 or groups[place] < FEW_GROUPS or not np.isfinite(errors[place]):
            continue
        excess, message = _decision(
            case, place, float(seen[place]), float(errors[place]), log_alpha + float(shares[place]), margin
        )
        if worst is None or excess > worst.excess:
            worst = Suspicion("decisions", name, excess, message)
    if worst is not None:
        yield worst


def _decision(case: Case, place: int, seen: float, error: float, log_alpha: float, margin: float) -> tuple[float, str]:
    """Lower bound of |seen - predicted| beyond the margin, and what to say; the error is widened for so few groups."""
    found = case.segments
    told = case.predicted.segments[found.names[place]]
    groups, units = found.total.shape[-1], float(found.total[place, 1, REQUESTS].sum())
    widened = error * (groups / (groups - 3)) ** 0.5 * (1 + units / told.rows) ** 0.5
    gap = abs(seen - told.decision_difference)
    low = gap - bounds.half_width(widened, margin, exp(log_alpha))
    decided = float(found.total[place, 1, DECISIONS].sum()) / max(units, 1.0)
    told_said = f"{seen:+.1%} against the champion, predicted {told.decision_difference:+.1%}"
    message = f"{decided:.1%} of the candidate's decisions are positive, {told_said}"
    return low - margin, message
