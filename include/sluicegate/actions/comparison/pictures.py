"""The two pictures that need both models: how the scores shift, and where the gain is."""

import numpy as np

from sluicegate.actions.comparison.effects import Effect, metric_name
from sluicegate.actions.comparison.slices import Scan
from sluicegate.actions.holdout.chart import CANDIDATE, CHAMPION, HARM, INK, Chart, number
from sluicegate.domain.evidence import Predicted


def score_shift(predicted: Predicted, score_range: tuple[float, float], threshold: float) -> str:
    """Histograms of both models' scores on the same rows."""
    edges = np.linspace(*score_range, len(predicted.histogram) + 1)
    before = predicted.champion_histogram or (0.0,) * len(predicted.histogram)
    top = max(max(predicted.histogram), max(before)) * 1.1
    chart = Chart(score_range, (0, top)).axes("score", "share of rows")
    if predicted.champion_histogram:
        chart.bars(edges, before, CHAMPION, opacity=0.45)
    chart.line(np.repeat(edges, 2)[1:-1], np.repeat(predicted.histogram, 2), CANDIDATE)
    chart.rule(x=threshold, colour=INK, dash="3 3")
    chart.text(chart.across(threshold) + 5, 22, f"threshold {number(threshold)}", kind="legend")
    means = [(CANDIDATE, f"candidate, mean {predicted.mean_score:.3g}")]
    if predicted.champion_mean_score is not None:
        means.insert(0, (CHAMPION, f"champion, mean {predicted.champion_mean_score:.3g}"))
    return chart.legend(means, x=chart.across(score_range[1]) - 158, y=44).svg("Scores of both models")


def forest(primary: Effect, scan: Scan) -> str:
    """Difference of the primary metric with its one-sided bounds, overall and in every slice."""
    shown = sorted(scan.slices, key=lambda s: s.effect.difference)
    shown = shown if len(shown) <= 13 else [*shown[:8], *shown[-5:]]
    rows = [("all rows", primary, False)] + [(s.name, s.effect, s.harmed) for s in shown]
    reach = max(primary.margin * 1.6, *(min(max(abs(e.lower), abs(e.upper)), 8 * primary.margin) for _, e, _ in rows))
    chart = Chart((-reach, reach), (0, 1), left=150)
    chart.axes(f"gain in {metric_name(primary.metric)}, candidate − champion", "", y_ticks=())
    chart.rule(x=0, colour=INK).rule(x=-primary.margin, colour=HARM, dash="4 3")
    height = 218 / len(rows)
    for place, (name, found, harmed) in enumerate(rows):
        _whisker(chart, 12 + height * (place + 0.5), name, found, HARM if harmed else CANDIDATE if place else INK)
    return chart.svg("Gain by slice")


def _whisker(chart: Chart, y: float, name: str, found: Effect, colour: str) -> None:
    shown = name if len(name) <= 22 else name[:21] + "…"
    chart.text(144, y + 4, shown, anchor="end", kind="tick", colour=colour)
    chart.segment(chart.across(found.lower), y, chart.across(found.upper), y, colour, 2)
    middle = chart.across(found.difference)
    chart.segment(middle, y - 4, middle, y + 4, colour, 4)
