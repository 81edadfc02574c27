"""From effects to one of five words. Harm first, then missing evidence, then no worse, then better."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluicegate.actions.comparison.effects import Effect, metric_name, rows_to_decide
from sluicegate.actions.comparison.slices import Scan
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict

LEAST_UNITS = 30
"""Clusters below which no interval is believed."""


@dataclass(frozen=True)
class Finding:
    """The offline verdict with its reason (constant) and message (sentence)."""

    verdict: OfflineVerdict
    reason: str
    message: str


def decide(
    primary: Effect, scan: Scan, calibration: Effect | None, cost: Mapping[str, float], spec: ModelSpec, conflict: str | None
) -> Finding:
    """The verdict on a candidate that has a champion to beat.

    Parameters
    ----------
    conflict
        Why one of the models must not be judged on this holdout, or None.
    """
    if conflict is not None:
        return Finding(OfflineVerdict.INCONCLUSIVE, "holdout_seen", f"{conflict}; wait for newer rows")
    harm = _harm(primary, scan, calibration, cost, spec)
    if harm is not None:
        return harm
    if primary.units < LEAST_UNITS:
        sentence = f"the holdout has {primary.units} {_unit(spec)}s; below {LEAST_UNITS} no interval is believed"
        return Finding(OfflineVerdict.INCONCLUSIVE, "too_few_units", sentence)
    if not primary.non_inferior:
        return _undecided(primary, spec)
    if primary.superior:
        return Finding(OfflineVerdict.PROMOTE, "better", f"better: {_interval(primary)}")
    sentence = f"no worse than the margin {primary.margin:g} allows, but not proven better: {_interval(primary)}"
    return Finding(OfflineVerdict.NEUTRAL, "no_worse", sentence)


def decide_first(usable: bool, evidence: str) -> Finding:
    """The verdict on the first model: it must be better than a constant answer."""
    if usable:
        return Finding(OfflineVerdict.FIRST, "first", f"there is no champion yet, and {evidence}")
    return Finding(OfflineVerdict.INCONCLUSIVE, "no_signal", f"there is no champion yet, but {evidence}")


def _harm(primary: Effect, scan: Scan, calibration: Effect | None, cost: Mapping[str, float], spec: ModelSpec) -> Finding | None:
    if primary.upper < 0 and not primary.non_inferior:
        return Finding(OfflineVerdict.REJECT, "worse", f"worse: {_interval(primary)}")
    if scan.harmed:
        worst = min(scan.harmed, key=lambda s: s.effect.difference)
        more = f" (and {len(scan.harmed) - 1} more)" if len(scan.harmed) > 1 else ""
        sentence = f"worse by more than the margin where {worst.name}{more}: {_interval(worst.effect)}"
        return Finding(OfflineVerdict.REJECT, "slice_worse", sentence)
    if calibration is not None and calibration.upper < -calibration.margin:
        return Finding(OfflineVerdict.REJECT, "calibration_worse", f"probabilities are further off: {_interval(calibration)}")
    bound = spec.release.gates.p95_ms
    if bound is not None and cost["p95_us"] > bound * 1000:
        taken = cost["p95_us"] / 1000
        sentence = f"one row in twenty takes more than {taken:.3g} ms without any network; the gate allows {bound:g} ms"
        return Finding(OfflineVerdict.REJECT, "too_slow", sentence)
    return None


def _undecided(primary: Effect, spec: ModelSpec) -> Finding:
    needed = rows_to_decide(primary, spec.comparison.alpha)
    sentence = (
        f"not decided: {_interval(primary)}; the holdout can show differences of {primary.detectable:.2g} and the margin is "
        f"{primary.margin:g}: about {needed:,} rows of this kind would decide instead of {primary.rows:,}"
    )
    return Finding(OfflineVerdict.INCONCLUSIVE, "not_enough_data", sentence)


def _interval(found: Effect) -> str:
    return (
        f"{metric_name(found.metric)} {found.champion:.4f} → {found.candidate:.4f}, gain {found.difference:+.4f} "
        f"({found.lower:+.4f} … {found.upper:+.4f})"
    ).replace("-", "−")


def _unit(spec: ModelSpec) -> str:
    return spec.comparison.cluster or spec.data.user_id
