"""The tables of a report: rows of text."""

from collections.abc import Mapping
from typing import Any

from sluicegate.actions.comparison.contest import Contest
from sluicegate.actions.comparison.effects import Effect, metric_name
from sluicegate.actions.comparison.limits import Check
from sluicegate.actions.comparison.slices import Guarded, Scan
from sluicegate.actions.comparison.words import chance, percent, plain, signed
from sluicegate.actions.holdout.chart import number
from sluicegate.domain.verdict import Verdict

Table = dict[str, Any]
BLANK = "–"
LOSSES = {"absolute": "|e|", "squared": "e²"}


def numbers_table(result: Contest, numbers: Mapping[str, Any]) -> Table:
    """Metrics of both models with gains and bounds, then what else differs between them."""
    if result.primary is None:
        metrics = numbers["candidate"]["metrics"]
        rows = [_row(metric_name(name), plain(value)) for name, value in metrics.items()]
        return {"columns": ["candidate"], "rows": rows + _cost_rows(numbers, ("candidate",))}
    rows = [
        _row(metric_name(e.metric), plain(e.champion), plain(e.candidate), signed(e.difference), _bounds(e))
        for e in result.effects
    ]
    rows += [_row(name, *cells, "", "") for name, *cells in _pairs(numbers)] + _tests(numbers)
    return {"columns": ["champion", "candidate", "gain", "bounds"], "rows": rows + _cost_rows(numbers, ("champion", "candidate"))}


def slices_table(scan: Scan) -> Table:
    """Every slice that was searched for harm."""
    rows = [_row(s.name, *_sizes(s.effect), number(s.adjusted_p), bad=s.harmed) for s in scan.slices]
    return {"columns": [*SIZES, "p of harm (Holm)"], "rows": rows}


def protected_table(scan: Scan) -> Table:
    """Every protected slice and what is proven about it."""
    return {"columns": [*SIZES, "detectable", "proven"], "rows": [_guarded(g) for g in scan.protected]}


def gates_table(checks: tuple[Check, ...]) -> Table:
    """Every gate that the spec names."""
    return {
        "columns": ["seen", "from", "to", "allowed", "verdict"],
        "rows": [
            _row(
                c.gate.replace("_", " "),
                *(c.say(v) for v in (c.value, c.lower, c.upper, c.bound)),
                c.verdict.value,
                bad=c.verdict is Verdict.FAIL,
            )
            for c in checks
        ],
    }


SIZES = ("rows", "units", "champion", "candidate", "gain", "lower", "upper")


def _row(name: str, *cells: str, bad: bool = False) -> dict[str, Any]:
    return {"name": name, "cells": cells, "bad": bad}


def _bounds(found: Effect) -> str:
    return f"{signed(found.lower)}…{signed(found.upper)}"


def _guarded(guarded: Guarded) -> dict[str, Any]:
    found = guarded.effect
    if found is None:
        return _row(guarded.name, f"{guarded.rows:,}", *([BLANK] * 7), "too few rows" if guarded.rows else "absent")
    proven = "worse" if guarded.harmed else "no worse" if found.non_inferior else "nothing"
    return _row(guarded.name, *_sizes(found), plain(found.detectable), proven, bad=guarded.harmed)


def _tests(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    if "mcnemar" in numbers:
        rows.append(_row("McNemar, mid-p", "", "", "", chance(numbers["mcnemar"]["p_value"])))
    for loss, test in numbers.get("diebold_mariano", {}).items():
        rows.append(_row(f"Diebold–Mariano {LOSSES[loss]}", "", "", signed(test["statistic"]), chance(test["p_value"])))
    return rows


def _pairs(numbers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    predicted = numbers["predicted"]
    rows = [
        ("mean score", plain(predicted["champion_mean_score"]), plain(predicted["mean_score"])),
        ("positive decisions", percent(predicted["champion_decision_rate"]), percent(predicted["decision_rate"])),
        ("turned on / off", percent(predicted["flips_on"]), percent(predicted["flips_off"])),
    ]
    if "flips" in numbers:
        flips = numbers["flips"]
        rows.append(("newly wrong / right", percent(flips["negative_flips"]), percent(flips["positive_flips"])))
    if "calibration" in numbers:
        lines = numbers["calibration"]
        rows.append(("calibration slope", plain(lines["champion"]["slope"]), plain(lines["candidate"]["slope"])))
    return rows


def _cost_rows(numbers: Mapping[str, Any], who: tuple[str, ...]) -> list[dict[str, Any]]:
    blank = [""] * (2 if len(who) == 2 else 0)
    cost = [numbers[w]["cost"] for w in who]
    return [
        _row("one row, p50 / p95", *(f"{c['p50_us']:.0f} / {c['p95_us']:.0f} µs" for c in cost), *blank),
        _row("package", *(f"{c['bytes'] / 1024:,.0f} KiB" for c in cost), *blank),
    ]


def _sizes(found: Effect) -> list[str]:
    values = [plain(found.champion), plain(found.candidate)]
    return [f"{found.rows:,}", f"{found.units:,}", *values, *(signed(v) for v in (found.difference, found.lower, found.upper))]
