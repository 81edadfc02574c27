"""Rules `throughput`, `cpu_ms`, `memory_mb` and `value`: what a request costs and brings."""

from math import inf

from sluicegate.domain.verdict import GateVerdict, Verdict
from sluicegate.gates import bounds, budget, memory
from sluicegate.gates.case import MATCHED_ROWS, Case
from sluicegate.gates.looks import VALUE, VALUE_SQUARE
from sluicegate.gates.matched import Means
from sluicegate.gates.rules.common import NOT_MEASURED, failed, finite, pass_or_wait, undecided, why


def throughput(case: Case) -> GateVerdict:
    """Requests per busy second, against the champion's at the same time: harm is the share of capacity that is lost."""
    gate = case.release.gates.throughput
    margin = gate.margin if gate else 0.0
    ratio = _ratio(case, "throughput", 1 / (1 - margin) - 1)
    if isinstance(ratio, GateVerdict):
        return ratio
    harm, low, high = (_lost(x) for x in (ratio.value, ratio.low, ratio.high))
    said = f"a second's work carries {ratio.per_unit(1):.0f} requests of the candidate, {ratio.per_unit(0):.0f} of the champion"
    return _judged(case, "throughput", said, ratio.numbers(harm, low, high, margin), "less_capacity", margin)


def cpu_ms(case: Case) -> GateVerdict:
    """CPU time of a request, against the champion's at the same time: harm is the share that it costs more."""
    gate = case.release.gates.cpu_ms
    margin = gate.margin if gate else 0.0
    ratio = _ratio(case, "cpu_ms", margin)
    if isinstance(ratio, GateVerdict):
        return ratio
    harm, low, high = ratio.value - 1, ratio.low - 1, ratio.high - 1
    said = f"a request costs the candidate {1000 * ratio.means.candidate:.2f} ms of CPU, the champion {1000 * ratio.means.champion:.2f}"
    return _judged(case, "cpu_ms", said, ratio.numbers(harm, low, high, margin), "more_cpu", margin)


def _lost(ratio: float) -> float:
    """Share of capacity that is lost when a request takes so many times as long."""
    return 1 - 1 / ratio if ratio > 0 else -inf


class _Ratio:
    """Candidate's mean over the champion's, with bounds at all looks."""

    def __init__(self, case: Case, gate: str, means: Means, margin: float) -> None:
        self.means, self.alpha, self.requests = means, case.gates[gate], case.moments[1].requests
        self.value = means.candidate / means.champion
        error = max(means.error / means.champion, margin / self.requests)  # one request off by the margin is always possible
        self.low = self.value - bounds.half_width(error, margin, self.alpha)
        self.high = self.value + bounds.half_width(error, margin, 2 * budget.pass_alpha(case.release))

    def per_unit(self, arm: int) -> float:
        """Requests per second of work of champion (0) or candidate (1)."""
        mean = (self.means.champion, self.means.candidate)[arm]
        return 1 / mean if mean > 0 else 0.0

    def numbers(self, harm: float, low: float, high: float, margin: float) -> dict[str, float]:
        return {
            "champion_mean": self.means.champion,
            "candidate_mean": self.means.candidate,
            "harm": finite(harm),
            "harm_low": finite(low),
            "harm_high": finite(high),
            "margin": margin,
            "requests": self.requests,
            "alpha": self.alpha,
        }


def _means(case: Case, gate: str) -> Means | GateVerdict:
    """Both arms' means, or why they are not known."""
    if MATCHED_ROWS[gate] in case.uncounted:
        return undecided(gate, NOT_MEASURED, f"a server does not count what the gate '{gate}' needs", {})
    place = [name for name in MATCHED_ROWS if name in case.gates].index(gate)
    found = case.means.means[place] if case.means.means else None
    if found is None or found.error == inf:
        reason = case.arms_source.problem or "too_few_requests"
        return undecided(gate, reason, why(case, reason), {"requests": case.moments[1].requests})
    return found


def _ratio(case: Case, gate: str, margin: float) -> _Ratio | GateVerdict:
    found = _means(case, gate)
    if isinstance(found, GateVerdict):
        return found
    if found.champion <= 0:
        return undecided(gate, NOT_MEASURED, "the champion's requests cost nothing: there is nothing to compare with", {})
    return _Ratio(case, gate, found, margin)


def _judged(case: Case, gate: str, said: str, numbers: dict[str, float], reason: str, margin: float) -> GateVerdict:
    if numbers["harm_low"] > margin:
        return failed(gate, reason, f"{said}: beyond the margin {margin:g}", numbers)
    return pass_or_wait(case, gate, (case.arms_source,), said, numbers, margin=margin, risk=margin)


def value(case: Case) -> GateVerdict:
    """Business value of a request, against the champion's at the same time; only less is harm."""
    gate = case.release.gates.value
    found = _means(case, "value")
    if isinstance(found, GateVerdict):
        return found
    absolute = gate.absolute if gate else None
    unit = 1.0 if absolute is not None else abs(found.champion)
    if unit <= 0:
        return undecided("value", NOT_MEASURED, "the champion's requests are worth nothing: give the margin as absolute", {})
    margin = absolute if absolute is not None else (gate.margin if gate else None) or 0.0
    champion, candidate = ((arm.requests, arm.total[VALUE], arm.total[VALUE_SQUARE]) for arm in case.moments)
    error = max(found.error, bounds.independent_error(champion, candidate, margin * unit)) / unit
    alpha = case.gates["value"]
    harm = (found.champion - found.candidate) / unit
    numbers = {
        "champion_mean": found.champion,
        "candidate_mean": found.candidate,
        "harm": harm,
        "harm_low": finite(harm - bounds.half_width(error, margin, alpha)),
        "harm_high": finite(harm + bounds.half_width(error, margin, 2 * budget.pass_alpha(case.release))),
        "margin": margin,
        "requests": case.moments[1].requests,
        "alpha": alpha,
    }
    said = f"a request is worth {found.candidate:.4g} with the candidate, {found.champion:.4g} with the champion"
    return _judged(case, "value", said, numbers, "less_value", margin)


def memory_mb(case: Case) -> GateVerdict:
    """The candidate's process stays below the bound, or below the champion's."""
    bound, seen = case.release.gates.memory_mb or 0.0, case.memory
    allowed = memory.allowed(seen.champion, bound)
    numbers = {"bound_mb": bound, "looks": float(seen.measured), "looks_above": float(seen.over)}
    if seen.champion is not None:
        numbers["champion_mb"] = seen.champion
    if seen.candidate is not None:
        numbers |= {"candidate_mb": seen.candidate, "harm": seen.candidate - allowed}
    if seen.breached:
        message = f"the candidate's process was above {allowed:.0f} MB at {memory.LOOKS} looks in a row"
        return failed("memory_mb", "more_memory", message, numbers)
    problem = case.arms_source.problem
    if problem or seen.candidate is None:
        return undecided(
            "memory_mb", problem or NOT_MEASURED, why(case, problem) if problem else "memory is not measured", numbers
        )
    said = f"the candidate's process needs {seen.candidate:.0f} MB, allowed are {allowed:.0f}"
    if seen.measured < memory.LOOKS or seen.over:
        return undecided("memory_mb", "undecided", said, numbers)
    return GateVerdict("memory_mb", Verdict.PASS, "within_margin", said, numbers)
