"""The two pictures that need both models: how the scores shift, and where the gain is."""

import numpy as np

from sluicegate.actions.comparison.effects import Effect, metric_name
from sluicegate.actions.comparison.slices import Scan
from sluicegate.actions.comparison.words import plain
from sluicegate.actions.holdout.chart import CANDIDATE, CHAMPION, HARM, INK, Chart, number
from sluicegate.domain.evidence import Predicted

FOREST_HEIGHT = 300
MOST_SHOWN = 22
"""Slices in the picture; of more the worst and the five best are shown, all are in the table."""


def score_shift(predicted: Predicted, score_range: tuple[float, float], threshold: float) -> str:
    """Histograms of both models' scores on the same rows."""
    edges = np.linspace(*score_range, len(predicted.histogram) + 1)
    before = predicted.champion_histogram or (0.0,) * len(predicted.histogram)
    top = max(max(predicted.histogram), max(before)) * 1.1
    chart = Chart(score_range, (0, top), left=54).axes("score", "share of rows")
    if predicted.champion_histogram:
        chart.bars(edges, before, CHAMPION, opacity=0.45)
    chart.line(np.repeat(edges, 2)[1:-1], np.repeat(predicted.histogram, 2), CANDIDATE)
    chart.rule(x=threshold, colour=INK, dash="3 3")
    chart.text(chart.across(threshold) + 5, 22, f"threshold {number(threshold)}", kind="legend")
    means = [(CANDIDATE, f"candidate, mean {plain(predicted.mean_score)}")]
    if predicted.champion_mean_score is not None:
        means.insert(0, (CHAMPION, f"champion, mean {plain(predicted.champion_mean_score)}"))
    return chart.legend(means, x=chart.across(score_range[1]) - 158, y=44).svg("Scores of both models")


def forest(primary: Effect, scan: Scan) -> str:
    """Difference of the primary metric with its one-sided bounds: overall, in protected slices, and where harm was searched."""
    room = MOST_SHOWN - len(scan.protected)
    shown = sorted(scan.slices, key=lambda s: s.effect.difference)
    shown = shown if len(shown) <= room else [*shown[: room - 5], *shown[-5:]]
    guarded = [(f"{g.name} †", g.effect, g.harmed) for g in scan.protected if g.effect is not None]
    rows = [("all rows", primary, False), *guarded, *((s.name, s.effect, s.harmed) for s in shown)]
    reach = max(primary.margin * 1.6, *(min(max(abs(e.lower), abs(e.upper)), 8 * primary.margin) for _, e, _ in rows))
    chart = Chart((-reach, reach), (0, 1), size=(440, FOREST_HEIGHT), left=170)
    chart.axes(f"gain in {metric_name(primary.metric)}, candidate − champion", "", y_ticks=())
    chart.rule(x=0, colour=INK).rule(x=-primary.margin, colour=HARM, dash="4 3")
    height = (FOREST_HEIGHT - 46) / len(rows)
    for place, (name, found, harmed) in enumerate(rows):
        _whisker(chart, 12 + height * (place + 0.5), name, found, HARM if harmed else CANDIDATE if place else INK)
    return chart.svg("Gain by slice")


def _whisker(chart: Chart, y: float, name: str, found: Effect, colour: str) -> None:
    shown = name if len(name) <= 28 else name[:27] + "…"
    chart.text(164, y + 4, shown, anchor="end", kind="tick", colour=colour)
    chart.segment(chart.across(found.lower), y, chart.across(found.upper), y, colour, 2)
    middle = chart.across(found.difference)
    chart.segment(middle, y - 4, middle, y + 4, colour, 4)
