"""The report of a comparison: one HTML file that opens offline. A person reads the verdict in one minute."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sluicegate.actions.comparison import tables
from sluicegate.actions.comparison.contest import Contest
from sluicegate.actions.comparison.effects import Effect, metric_name
from sluicegate.actions.comparison.looks import Look
from sluicegate.actions.comparison.words import day, percent, signed
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
    "slices": ("Gain by slice", "bar: one-sided bounds; red dashes: margin; †: protected"),
}


@dataclass(frozen=True)
class Report:
    """What the report shows; `numbers` is what report.json holds."""

    spec: ModelSpec
    verdict: OfflineVerdict
    message: str
    versus: str
    result: Contest
    look: Look
    numbers: Mapping[str, Any]
    pictures: Mapping[str, str]
    identity: Mapping[str, str]


def render(report: Report) -> str:
    """The HTML page; everything that came from data or a spec is escaped."""
    holdout, rule, scan = report.numbers["holdout"], report.spec.comparison, report.result.scan
    return _template().render(
        model=report.spec.model,
        verdict=report.verdict.value.upper(),
        colour=COLOURS[report.verdict],
        message=report.message[:1].upper() + report.message[1:],
        versus=report.versus,
        rows=f"{holdout['rows']:,}",
        units=f"{holdout['units']:,}",
        unit=rule.cluster or report.spec.data.user_id,
        period=f"{day(holdout['from'])} to {day(holdout['until'])}",
        facts=_facts(report),
        pictures=_pictures(report),
        table=tables.numbers_table(report.result, report.numbers),
        more={
            "Protected slices": tables.protected_table(scan),
            "Gates": tables.gates_table(report.result.checks),
            "Slices": tables.slices_table(scan),
        },
        too_small=scan.too_small,
        notes=_notes(report),
        trace=report.numbers.get("trace"),
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
    found, predicted = report.result.primary, report.numbers["predicted"]
    if found is None or predicted["mean_difference"] is None:
        return []
    scan = report.result.scan
    return [
        {"name": f"gain in {metric_name(found.metric)}", "value": signed(found.difference)},
        {"name": "shift of the mean score", "value": _shift(report.spec, predicted)},
        {"name": "decisions that flip", "value": percent(predicted["flips_on"] + predicted["flips_off"])},
        {"name": "slices harmed", "value": f"{len(scan.harmed)} of {len(scan.slices)}"},
    ]


def _shift(spec: ModelSpec, predicted: Mapping[str, Any]) -> str:
    """In percent of the champion's mean where scores are probabilities, otherwise in units of the score."""
    shift, before = predicted["mean_difference"], predicted["champion_mean_score"]
    if spec.task == "regression" or not before:
        return signed(shift)
    return f"{100 * shift / before:+.1f} %".replace("-", "−")


def _notes(report: Report) -> list[str]:
    return [_rule(report), *_methods(report.result.effects), _look(report.look), *_traps(report.numbers["holdout"])]


def _rule(report: Report) -> str:
    margin = number(report.spec.comparison.margin)
    return (
        f"Gains are candidate − champion, turned so that higher is better. A gain counts as no worse when its lower bound is above "
        f"−{margin}, as better when above 0, as harm in a slice when it stays below −{margin} after Holm's correction. Bounds are "
        f"one-sided: the primary metric's at level {number(report.look.level)}, all others at {number(report.spec.comparison.alpha)}. "
        "Times per row are measured in this process, without network."
    )


def _methods(effects: tuple[Effect, ...]) -> list[str]:
    if not effects:
        return []
    by = ", ".join(f"{metric_name(e.metric)} by {e.method}" for e in effects)
    binned = max(e.binning_error for e in effects)
    moved = (
        f" Binning the scores while resampling moved no difference by more than {binned:.1g}, which is taken out."
        if binned
        else ""
    )
    return [f"Standard errors are clustered: {by} of sluicegate.stats.{moved}"]


def _look(look: Look) -> str:
    return (
        f"This is comparison {look.number} with this champion. All {look.looks} of a year share a chance of {percent(look.budget)} to "
        f"let an equal candidate pass; this one may spend {percent(look.level)}."
    )


def _traps(holdout: Mapping[str, Any]) -> list[str]:
    notes = [f"Mean label {holdout['mean_label_training']:.4g} in training, {holdout['mean_label']:.4g} in the holdout."]
    if holdout["repeats_of_training_rows"]:
        notes.append(
            f"{holdout['repeats_of_training_rows']:,} holdout rows repeat user, inputs and label of a row the candidate learned from."
        )
    unknown = holdout["censored"]
    if unknown is None:
        return [*notes, "No request log covers the holdout, so it is not known how many requests have no label."]
    return [
        *notes,
        f"Of {unknown['asked']:,} requests of that time {percent(unknown['share'])} have no label (late, or censored by a decision); "
        f"{unknown['unlabelled_positive']:,} of these were decided positive.",
    ]
