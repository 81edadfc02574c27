"""Rule `labels`: the loss of answers whose outcome has become known."""

from dataclasses import replace
from math import inf, sqrt

from sluicegate.domain.verdict import GateVerdict
from sluicegate.gates import blocks, bounds, budget
from sluicegate.gates.case import Case
from sluicegate.gates.labels import Labels
from sluicegate.gates.looks import CANDIDATE_KNOWN, CHAMPION_KNOWN
from sluicegate.gates.matched import FEW_BUCKETS, Means
from sluicegate.gates.rules.common import NO_HARM_SEEN, failed, finite, pass_or_wait, undecided, unknown, why

STALLED = "labels_stalled"
"""Reason: outcomes that should be known by now are not."""


def labels(case: Case) -> GateVerdict:
    """The candidate's answers turn out no worse than the champion's: pairs where there are any, else arms."""
    seen, gate, sources = case.labels, case.release.gates.labels, (case.labels.source,)
    margin, alpha = gate.margin if gate else 0.0, case.gates["labels"]
    paired = seen.pairs.requests > 0
    count = seen.pairs.requests if paired else float(seen.sums[CANDIDATE_KNOWN])
    numbers = {"due": float(seen.due), "known": seen.known, "requests": count, "pairs": float(paired), "margin": margin}
    problem = unknown(case, "labels", sources, numbers)
    if problem is not None:
        return problem
    if seen.stalled:
        message = f"{seen.known:.0f} outcomes are known, {seen.due} should be by now: the labels have stalled"
        return undecided("labels", STALLED, message, numbers)
    found = _of_pairs(seen, margin) if paired else _of_arms(seen, margin)
    if found is None or found.error == inf or count < case.stage.min_requests:
        return _not_yet(case, numbers)
    harm = found.candidate - found.champion
    numbers |= {
        "harm": harm,
        "harm_low": finite(harm - bounds.half_width(found.error, margin, alpha)),
        "harm_high": finite(harm + bounds.half_width(found.error, margin, 2 * budget.pass_alpha(case.release))),
        "alpha": alpha,
    }
    said = f"the loss of {count:.0f} known answers is {harm:+.4f} against the champion's"
    if numbers["harm_low"] > margin:
        return failed("labels", "worse_outcomes", f"{said}: more than the margin {margin:g}", numbers)
    return pass_or_wait(case, "labels", sources, said, numbers, margin=margin, risk=margin)


def _not_yet(case: Case, numbers: dict[str, float]) -> GateVerdict:
    """An early stage does not wait for outcomes that cannot be known yet; later ones do."""
    early = case.stage.kind == "mirror" or not budget.needs_pass(case.release, case.stage)
    if early and case.labels.due < case.stage.min_requests:
        return undecided("labels", NO_HARM_SEEN, "outcomes are not due yet, and little is at risk", numbers)
    return undecided("labels", "too_few_requests", why(case, ""), numbers)


def _of_pairs(seen: Labels, margin: float) -> Means:
    """The mean difference of loss, with the larger of three standard errors: over users, over time, of independent answers."""
    found, count = seen.pairs, seen.pairs.requests
    difference = found.mean(1)
    independent = sqrt((max(found.mean(2) - difference**2, 0.0) + margin * margin / count) / count)
    error = max(found.error(1), blocks.standard_error(seen.pairs_in_time, 1), independent)
    return Means(0.0, difference, inf if found.users < FEW_BUCKETS else error, 1.0)


def _of_arms(seen: Labels, margin: float) -> Means | None:
    if not seen.arms.means:
        return None
    found, sums = seen.arms.means[0], seen.sums.tolist()
    champion, candidate = (tuple(sums[row : row + 3]) for row in (CHAMPION_KNOWN, CANDIDATE_KNOWN))
    return replace(found, error=max(found.error, bounds.independent_error(champion, candidate, margin)))
