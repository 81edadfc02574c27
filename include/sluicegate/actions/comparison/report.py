"""The report of a comparison: one HTML file that opens offline. A person reads the verdict in one minute."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sluicegate.actions.comparison.effects import Effect, metric_name
from sluicegate.actions.comparison.slices import Scan
from sluicegate.actions.holdout.chart import number
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict

COLOURS = {
    OfflineVerdict.PROMOTE: "#2b8a3e",
    OfflineVerdict.FIRST: "#2b8a3e",
    OfflineVerdict.NEUTRAL: "#495057",
    OfflineVerdict.REJECT: "#c92a2a",
    OfflineVerdict.INCONCLUSIVE: "#b35c00",
}
TITLES = {
    "roc": ("ROC", ""),
    "precision_recall": ("Precision and recall", "dashed: share of positives"),
    "calibration": ("Calibration", "on the line is right"),
    "within": ("Errors", "share of rows within an absolute error"),
    "over_time": ("Error over time", "twelve parts of the holdout"),
    "score_shift": ("Score shift", "same rows, both models"),
    "slices": ("Gain by slice", "bar: one-sided bounds; red dashes: margin"),
}


@dataclass(frozen=True)
class Report:
    """What the report shows; `numbers` is what report.json holds."""

    spec: ModelSpec
    verdict: OfflineVerdict
    message: str
    versus: str
    primary: Effect | None
    effects: tuple[Effect, ...]
    scan: Scan
    numbers: Mapping[str, Any]
    pictures: Mapping[str, str]
    identity: Mapping[str, str]


def render(report: Report) -> str:
    """The HTML page; everything that came from data or a spec is escaped."""
    holdout, rule = report.numbers["holdout"], report.spec.comparison
    return _template().render(
        model=report.spec.model,
        verdict=report.verdict.value.upper(),
        colour=COLOURS[report.verdict],
        message=report.message[:1].upper() + report.message[1:],
        versus=report.versus,
        rows=f"{holdout['rows']:,}",
        units=f"{holdout['units']:,}",
        unit=rule.cluster or report.spec.data.user_id,
        period=f"{_day(holdout['from'])} to {_day(holdout['until'])}",
        facts=_facts(report),
        pictures=_pictures(report),
        table=_table(report),
        slices=[
            {"name": s.name, "harmed": s.harmed, "cells": [*_sizes(s.effect), number(s.adjusted_p)]} for s in report.scan.slices
        ],
        too_small=report.scan.too_small,
        level=number(rule.alpha),
        margin=number(rule.margin),
        methods=_methods(report.effects),
        identity=report.identity,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))


def _pictures(report: Report) -> list[dict[str, str]]:
    drawn = report.pictures
    return [
        {"title": title, "note": note, "svg": Markup(drawn[name])}  # noqa: S704 - drawn and escaped by Chart
        for name, (title, note) in TITLES.items()
        if name in drawn
    ]


def _facts(report: Report) -> list[dict[str, str]]:
    found, predicted = report.primary, report.numbers["predicted"]
    if found is None or predicted["mean_difference"] is None:
        return []
    scan = report.scan
    return [
        {"name": f"gain in {metric_name(found.metric)}", "value": _signed(found.difference)},
        {"name": "shift of the mean score", "value": _shift(report.spec, predicted)},
        {"name": "decisions that flip", "value": _percent(predicted["flips_on"] + predicted["flips_off"])},
        {"name": "slices harmed", "value": f"{len(scan.harmed)} of {len(scan.slices)}"},
    ]


def _shift(spec: ModelSpec, predicted: Mapping[str, Any]) -> str:
    """In percent of the champion's mean where scores are probabilities, otherwise in units of the score."""
    shift, before = predicted["mean_difference"], predicted["champion_mean_score"]
    if spec.task == "regression" or not before:
        return _signed(shift)
    return f"{100 * shift / before:+.1f} %".replace("-", "−")


def _table(report: Report) -> dict[str, Any]:
    if report.primary is None:
        metrics = report.numbers["candidate"]["metrics"]
        rows = [{"name": metric_name(name), "cells": [_value(value)]} for name, value in metrics.items()]
        return {"columns": ["candidate"], "rows": rows + _cost_rows(report, ("candidate",))}
    rows = [
        {
            "name": metric_name(e.metric),
            "cells": [_value(e.champion), _value(e.candidate), _signed(e.difference), f"{_signed(e.lower)}…{_signed(e.upper)}"],
        }
        for e in report.effects
    ]
    rows += [{"name": name, "cells": [*cells, "", ""]} for name, *cells in _pairs(report.numbers)]
    return {"columns": ["champion", "candidate", "gain", "bounds"], "rows": rows + _cost_rows(report, ("champion", "candidate"))}


def _pairs(numbers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    predicted = numbers["predicted"]
    rows = [
        ("mean score", _value(predicted["champion_mean_score"]), _value(predicted["mean_score"])),
        ("positive decisions", _percent(predicted["champion_decision_rate"]), _percent(predicted["decision_rate"])),
        ("turned on / off", _percent(predicted["flips_on"]), _percent(predicted["flips_off"])),
    ]
    if "flips" in numbers:
        flips = numbers["flips"]
        rows.append(("newly wrong / right", _percent(flips["negative_flips"]), _percent(flips["positive_flips"])))
    if "calibration" in numbers:
        lines = numbers["calibration"]
        rows.append(("calibration slope", _value(lines["champion"]["slope"]), _value(lines["candidate"]["slope"])))
    return rows


def _cost_rows(report: Report, who: tuple[str, ...]) -> list[dict[str, Any]]:
    blank = [""] * (2 if len(who) == 2 else 0)
    cost = [report.numbers[w]["cost"] for w in who]
    return [
        {"name": "one row, p50 / p95", "cells": [f"{c['p50_us']:.0f} / {c['p95_us']:.0f} µs" for c in cost] + blank},
        {"name": "package", "cells": [f"{c['bytes'] / 1024:,.0f} KiB" for c in cost] + blank},
    ]


def _sizes(found: Effect) -> list[str]:
    values = [_value(found.champion), _value(found.candidate)]
    return [f"{found.rows:,}", f"{found.units:,}", *values, *(_signed(v) for v in (found.difference, found.lower, found.upper))]


def _methods(effects: tuple[Effect, ...]) -> str:
    if not effects:
        return ""
    by = [f"{metric_name(e.metric)} by {e.method}" for e in effects]
    return f"Standard errors are clustered: {', '.join(by)} of sluicegate.stats."


def _value(value: float) -> str:
    return f"{value:.4g}".replace("-", "−") if abs(value) >= 1 else f"{value:.4f}".replace("-", "−")


def _signed(value: float) -> str:
    text = f"{value:+.3g}" if abs(value) >= 1 else f"{value:+.4f}"
    return text.replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
