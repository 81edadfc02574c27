"""The published plots, as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from judge.peers import PEERS, Ending
from judge.rollouts import Run
from judge.tables import Runs, Unit, clopper_pearson, until_fail

OURS, BAR = "#31688e", "#444444"
COLOURS = ("#d1495b", "#edae49", "#7b6d8d")
MARKS = ("s", "^", "D")
mpl.rcParams["svg.hashsalt"] = "sluicegate"


def false_reverts(runs: Runs, target: Path) -> None:
    """Share of identical candidates that are reverted: ours with intervals, the peers beside."""
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(runs) + 1.8), layout="constrained")
    for row, done in enumerate(runs.values()):
        _ours(axes, row, done)
        watched = [run for run in done if run.peers]
        for peer, colour, mark in zip(PEERS if watched else (), COLOURS, MARKS, strict=bool(watched)):
            part = 100 * sum(run.peers[peer] is Ending.REVERTED for run in watched) / len(watched)
            place = row + 0.17 * (1 + MARKS.index(mark))
            axes.plot(part, place, mark, color=colour, markersize=5.5, label=peer if row == 0 else None)
    axes.axvline(5, color=BAR, linestyle="--", linewidth=1)
    axes.annotate("budget 5 %", (5, -0.75), (4, 0), textcoords="offset points", fontsize=9, color=BAR, va="center")
    axes.set_yticks(range(len(runs)), list(runs), fontsize=9)
    axes.set_ylim(len(runs) - 0.5, -1.1)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("rollouts of an identical candidate that were reverted, %")
    axes.set_title("False reverts", loc="left")
    axes.legend(loc="upper center", ncols=4, bbox_to_anchor=(0.4, -0.12 - 0.3 / len(runs)), frameon=False, fontsize=9)
    _save(figure, target)


def _ours(axes: Axes, row: int, done: Sequence[Run]) -> None:
    count, total = sum(run.reverted for run in done), len(done)
    low, high = (100 * end for end in clopper_pearson(count, total))
    axes.plot((low, high), (row, row), color=OURS, linewidth=3, solid_capstyle="butt")
    axes.plot(100 * count / total, row, "o", color=OURS, markersize=7, label="Sluicegate, 95 % interval" if row == 0 else None)


def detection(runs: Runs, units: Mapping[str, Unit], target: Path) -> None:
    """Share of harms found by so many units, with the bar."""
    barred = {name: done for name, done in runs.items() if units[name].bar is not None}
    figure, panels = plt.subplots(1, len(barred), figsize=(9, 3.4), layout="constrained", sharey=True)
    for axes, (name, done) in zip(panels, barred.items(), strict=True):
        unit, bar = units[name], units[name].bar or 1.0
        spent = np.sort(until_fail(done, unit.field))
        axes.step(np.append(0, spent), 100 * np.arange(len(spent) + 1) / len(spent), where="post", color=OURS, linewidth=2)
        axes.axvline(bar, color=BAR, linestyle="--", linewidth=1)
        axes.axhline(90, color=BAR, linestyle=":", linewidth=1)
        axes.annotate(f"bar {bar:,.0f}".replace(",", " "), (bar, 8), (-4, 0), textcoords="offset points", fontsize=9, ha="right")
        axes.set_xlim(0, 1.5 * bar)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
        axes.set_ylim(0, 103)
        axes.set_xlabel(f"{unit.name} until FAIL")
        axes.set_title(name, loc="left", fontsize=10)
    panels[0].set_ylabel("rollouts in which it is found, %")
    _save(figure, target)


def raw_rule(trace: Mapping[str, Sequence[float]], target: Path) -> None:
    """One mirror stage of a better model: what the raw rule sees and what was predicted."""
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    looks = np.arange(1, len(trace["seen"]) + 1)
    seen, error, due, limit = (np.asarray(trace[name]) for name in ("seen", "error", "predicted", "limit"))
    error = np.where(error < 1, error, np.nan)  # not known at the first looks
    axes.axhspan(
        -100 * limit[-1], 100 * limit[-1], color="#edae49", alpha=0.25, label="raw rule: within 5 % of the champion's mean"
    )
    axes.plot(looks, 100 * due, color="#35b779", linewidth=2, label="predicted by the comparison, for the live population")
    axes.fill_between(looks, 100 * (seen - error), 100 * (seen + error), color=OURS, alpha=0.2)
    axes.plot(looks, 100 * seen, color=OURS, linewidth=2, label="seen, with two standard errors")
    axes.set_xlabel("looks at the mirror stage")
    axes.set_ylabel("candidate − champion,\n% of the champion's mean score")
    axes.set_title("A better model, whose mean score rightly lies 15 % lower", loc="left")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.3), fontsize=9)
    axes.set_ylim(-20, 8)
    _save(figure, target)


def _save(figure: Any, target: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
