"""Everything that is computed about a champion and a candidate on one holdout, and the verdict that follows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sluicegate.actions.comparison.effects import Asked, Effect, attempt
from sluicegate.actions.comparison.limits import CALIBRATION, Check, Cost, check_limits
from sluicegate.actions.comparison.looks import Look
from sluicegate.actions.comparison.paired import Paired, Scored
from sluicegate.actions.comparison.slices import Scan, scan_slices
from sluicegate.actions.comparison.verdict import Case, Finding, decide
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict
from sluicegate.errors import InputError
from sluicegate.stats import calibration_line, churn, diebold_mariano, mcnemar_test, spiegelhalter_test

SHOWN = {"classification": ("auc", "average_precision", "log_loss", "brier"), "regression": ("mae", "rmse")}
"""Metrics that a report shows besides the primary one."""


@dataclass(frozen=True)
class Contest:
    finding: Finding
    primary: Effect | None = None
    effects: tuple[Effect, ...] = ()
    """The primary metric first, then the other usual ones of the task."""
    scan: Scan = Scan()  # noqa: RUF009 - frozen and empty
    checks: tuple[Check, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Calibration, flips or forecast test, by name."""


def contest(pairs: Paired, spec: ModelSpec, costs: Mapping[str, Cost], look: Look, conflict: str | None) -> Contest:
    """Compare both models on their common holdout.

    Parameters
    ----------
    costs
        What candidate and champion cost to serve, by those names.
    conflict
        Why one of the models must not be judged on these rows, or None.
    """
    effects = _effects(pairs.scored, spec, look)
    more = _more(pairs, spec)
    if not effects or effects[0].metric != spec.comparison.primary:
        sentence = (
            f"the {spec.comparison.primary} of these {len(pairs.scored)} rows is undefined: one class, "
            f"or one {spec.data.user_id} only"
        )
        return Contest(Finding(OfflineVerdict.INCONCLUSIVE, "metric_undefined", sentence), numbers=more)
    scan = scan_slices(pairs, spec)
    checks = check_limits(pairs, spec.comparison, effects, costs)
    calibration = next((e for e in effects if e.metric == CALIBRATION), None)
    case = Case(spec, effects[0], look, scan, calibration, checks, costs["candidate"]["p95_us"], conflict)
    return Contest(decide(case), effects[0], effects, scan, checks, more)


def _effects(scored: Scored, spec: ModelSpec, look: Look) -> tuple[Effect, ...]:
    """The primary metric at the level of the look, the others at that of a single claim: they release nothing."""
    rule = spec.comparison
    asked = [Asked(rule.primary, rule.margin, look.level, rule.quantile)]
    asked += [Asked(name, rule.margin, rule.alpha) for name in SHOWN[spec.task] if name != rule.primary]
    found = (attempt(scored, one) for one in asked)
    return tuple(e for e in found if e is not None)


def _more(pairs: Paired, spec: ModelSpec) -> dict[str, Any]:
    if spec.task == "regression":
        return _forecast(pairs.scored)
    truth, before, after = pairs.scored.y, pairs.decided_champion, pairs.decided_candidate
    flips = churn(before, after, truth)
    rows = len(pairs.scored)
    discordant = round(flips.negative_flips * rows), round(flips.positive_flips * rows)
    flipped = {"flips": _finite(asdict(flips)), "mcnemar": asdict(mcnemar_test(*discordant, method="midp"))}
    return flipped | _calibration(pairs.scored)


def _calibration(scored: Scored) -> dict[str, Any]:
    both = {"champion": scored.champion, "candidate": scored.candidate}
    try:
        lines = {who: asdict(calibration_line(scored.y, p, clusters=scored.clusters)) for who, p in both.items()}
        tests = {who: asdict(spiegelhalter_test(scored.y, p, clusters=scored.clusters)) for who, p in both.items()}
    except InputError:
        return {}
    return {"calibration": lines, "spiegelhalter": {who: _finite(test) for who, test in tests.items()}}


def _forecast(scored: Scored) -> dict[str, Any]:
    """Neighbours in time resemble each other: the variance reaches over the cube root of the rows (Newey and West 1994)."""
    reach = max(1, round(len(scored) ** (1 / 3)))
    errors = scored.y - scored.champion, scored.y - scored.candidate
    found = {}
    for name, power in (("absolute", 1), ("squared", 2)):
        try:
            found[name] = asdict(diebold_mariano(*errors, reach, power, variance="bartlett"))
        except InputError:
            continue
    return {"diebold_mariano": found}


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if np.isfinite(value)}
