"""From effects to one of five words. Harm first, then missing evidence, then no worse, then better."""

from collections.abc import Iterator
from dataclasses import dataclass

from sluicegate.actions.comparison.effects import Effect, metric_name, rows_to_decide
from sluicegate.actions.comparison.limits import Check
from sluicegate.actions.comparison.looks import Look
from sluicegate.actions.comparison.slices import Guarded, Scan
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict, Verdict

LEAST_UNITS = 30
"""Clusters below which no interval is believed."""


@dataclass(frozen=True)
class Finding:
    """The offline verdict with its reason (constant) and message (sentence)."""

    verdict: OfflineVerdict
    reason: str
    message: str


@dataclass(frozen=True)
class Case:
    """All that the verdict depends on."""

    spec: ModelSpec
    primary: Effect
    """At the level of this look."""
    look: Look
    scan: Scan = Scan()  # noqa: RUF009 - frozen and empty
    calibration: Effect | None = None
    """The Brier score, where the task has one."""
    checks: tuple[Check, ...] = ()
    p95_us: float | None = None
    """Of one row of the candidate in process."""
    conflict: str | None = None
    """Why one of the models must not be judged on this holdout, or None."""


def decide(case: Case) -> Finding:
    """The verdict on a candidate that has a champion to beat."""
    if case.conflict is not None:
        return Finding(OfflineVerdict.INCONCLUSIVE, "holdout_seen", f"{case.conflict}; wait for newer rows")
    for reason, message in _harms(case):
        return Finding(OfflineVerdict.REJECT, reason, message)
    for reason, message in _gaps(case):
        return Finding(OfflineVerdict.INCONCLUSIVE, reason, message)
    primary = case.primary
    if primary.superior:
        return Finding(OfflineVerdict.PROMOTE, "better", f"better: {interval(primary)}{_strictness(case.look)}")
    sentence = f"no worse than the margin {primary.margin:g} allows, but not proven better: {interval(primary)}"
    return Finding(OfflineVerdict.NEUTRAL, "no_worse", sentence + _strictness(case.look))


def decide_first(usable: bool, evidence: str) -> Finding:
    """The verdict on the first model: it must be better than a constant answer."""
    if usable:
        return Finding(OfflineVerdict.FIRST, "first", f"there is no champion yet, and {evidence}")
    return Finding(OfflineVerdict.INCONCLUSIVE, "no_signal", f"there is no champion yet, but {evidence}")


def _harms(case: Case) -> Iterator[tuple[str, str]]:
    """Reasons to reject, the weightiest first."""
    primary, alpha = case.primary, case.spec.comparison.alpha
    if primary.p_harm <= alpha and not primary.non_inferior:
        yield "worse", f"worse: {interval(primary)}"
    for hurt in case.scan.protected:
        if hurt.harmed and hurt.effect is not None:
            yield "protected_worse", f"worse where it must not be, {hurt.name}: {interval(hurt.effect)}"
    if case.scan.harmed:
        worst = min(case.scan.harmed, key=lambda s: s.effect.difference)
        more = f" (and {len(case.scan.harmed) - 1} more)" if len(case.scan.harmed) > 1 else ""
        yield "slice_worse", f"worse by more than the margin where {worst.name}{more}: {interval(worst.effect)}"
    found = case.calibration
    if found is not None and found.upper < -found.margin:
        yield "calibration_worse", f"probabilities are further off: {interval(found)}"
    for check in case.checks:
        if check.verdict is Verdict.FAIL:
            yield f"{check.gate}_exceeded", check.message
    yield from _too_slow(case)


def _too_slow(case: Case) -> Iterator[tuple[str, str]]:
    bound = case.spec.release.gates.p95_ms
    if bound is not None and case.p95_us is not None and case.p95_us > bound * 1000:
        taken = case.p95_us / 1000
        yield "too_slow", f"one row in twenty takes more than {taken:.3g} ms without any network; the gate allows {bound:g} ms"


def _gaps(case: Case) -> Iterator[tuple[str, str]]:
    """What is not known and must be, the easiest to mend first."""
    primary = case.primary
    unit = case.spec.comparison.cluster or case.spec.data.user_id
    if primary.units < LEAST_UNITS:
        yield "too_few_units", f"the holdout has {primary.units} {unit}s; below {LEAST_UNITS} no interval is believed"
    for guarded in case.scan.protected:
        yield from _unproven(guarded)
    for check in case.checks:
        if check.verdict is Verdict.INCONCLUSIVE:
            yield f"{check.gate}_undecided", f"not decided: {check.message}; more rows would decide"
    if not primary.non_inferior:
        yield "not_enough_data", f"not decided: {interval(primary)}; the holdout {_power(primary)}{_strictness(case.look)}"


def _unproven(guarded: Guarded) -> Iterator[tuple[str, str]]:
    found = guarded.effect
    if not guarded.rows:
        yield "protected_absent", f"the protected slice {guarded.name} has no row in the holdout: nothing is known about it"
    elif found is None:
        sentence = (
            f"the protected slice {guarded.name} has {guarded.rows} rows, of too few units or of one class only: wait for more"
        )
        yield "protected_absent", sentence
    elif not found.non_inferior:
        yield "protected_undecided", f"not decided where {guarded.name}: {interval(found)}; the slice {_power(found)}"


def _power(found: Effect) -> str:
    return (
        f"can show differences of {found.detectable:.2g} and the margin is {found.margin:g}: about {rows_to_decide(found):,} rows "
        f"of this kind would decide instead of {found.rows:,}"
    )


def _strictness(look: Look) -> str:
    return f"; comparison {look.number} with this champion, proven at {100 * look.level:.2g} %"


def interval(found: Effect) -> str:
    """Both values, the gain and its bounds."""
    return (
        f"{metric_name(found.metric)} {found.champion:.4f} → {found.candidate:.4f}, gain {found.difference:+.4f} "
        f"({found.lower:+.4f} … {found.upper:+.4f})"
    ).replace("-", "−")
