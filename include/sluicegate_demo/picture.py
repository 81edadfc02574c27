"""weights.svg: the candidate's weight over time, and who answered how many requests a second."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MultipleLocator

from sluicegate.actions.release import rollout
from sluicegate.domain.rollout import Kind, Outcome, Rollout
from sluicegate.ports import Ports

_COLOURS = ("#31688e", "#35b779", "#d1495b", "#edae49", "#7b6d8d", "#444444")


def draw(ports: Ports, model: str, target: Path, started_at: float, finished_at: float) -> None:
    """Draw the whole demo into `target` (SVG)."""
    states = [rollout(ports, model, e.rollout) for e in ports.journal.events(model, kinds=(Kind.OPENED,))]
    staged = [s for s in states if s.champion is not None]
    figure, (weights, requests) = plt.subplots(2, 1, figsize=(12, 7), sharex=True, height_ratios=(3, 2), layout="constrained")
    for state in staged:
        _rollout(weights, state, started_at)
    _weights_axis(weights, model)
    _traffic(requests, ports.requests.served(model), started_at, finished_at)
    requests.set_xlim(0, finished_at - started_at)
    figure.savefig(target)
    plt.close(figure)


def _rollout(axes: Axes, state: Rollout, origin: float) -> None:
    """One rollout: its weight as a staircase, its mirror stage hatched, its outcome in words."""
    promoted = state.outcome is Outcome.PROMOTED
    colour = "#35b779" if promoted else "#d1495b"
    ended = state.cut_at or state.ended_at or state.opened_at
    steps = [(r.entered_at - origin, r.weight) for r in state.records]
    times = [t for t, _ in steps] + [ended - origin]
    levels = [w for _, w in steps] + [100 if promoted else 0]
    axes.step(times, levels, where="post", color=colour, linewidth=2.2)
    axes.fill_between(times, levels, step="post", color=colour, alpha=0.15)
    for record in state.records:
        if record.kind == "mirror":
            left = record.left_at or ended
            axes.axvspan(
                record.entered_at - origin, left - origin, facecolor="#fbf0dc", hatch="////", edgecolor="#e0b768", linewidth=0.5
            )
        else:
            axes.annotate(
                f"{record.weight} %", (record.entered_at - origin, record.weight), (3, 3), textcoords="offset points", fontsize=9
            )
    _label(axes, state, ended - origin, colour)


def _label(axes: Axes, state: Rollout, x: float, colour: str) -> None:
    failed = next((r for r in state.records if r.verdict == "FAIL"), None)
    place = "" if failed is None else ("in mirror" if failed.kind == "mirror" else f"at {failed.weight} %")
    where = "" if failed is None else f"\nby {failed.gate}\n{place}"
    text = f"version {state.candidate}\n{state.outcome}{where}"
    axes.annotate(text, (x, 104), ha="right", va="bottom", color=colour, fontsize=10, fontweight="bold", annotation_clip=False)


def _weights_axis(axes: Axes, model: str) -> None:
    axes.set_title(f"Weight of the candidate, model {model} (hatched: mirror stage, users see nothing)", loc="left", pad=58)
    axes.set_ylabel("users served by the candidate [%]")
    axes.set_ylim(0, 104)
    axes.set_yticks([0, 5, 25, 50, 100])
    axes.grid(axis="y", alpha=0.3)


def _traffic(axes: Axes, logs: list[Path], started_at: float, finished_at: float) -> None:
    """Answers a second to users, by version, from the servers' prediction logs; the replay of July is cut off at the top."""
    seconds = np.arange(0, int(finished_at - started_at) + 2)
    versions = sorted({log.parent.name for log in logs}, key=int)
    rates = {v: np.histogram(_answered([p for p in logs if p.parent.name == v], started_at), bins=seconds)[0] for v in versions}
    served = {name: rate for name, rate in rates.items() if rate.sum()}
    total = sum(served.values())
    top = 1.6 * float(np.median(total[total > 0]))
    axes.stackplot(seconds[:-1], served.values(), labels=[f"version {name}" for name in served], colors=_COLOURS, alpha=0.85)
    axes.set_ylim(0, top)
    over = int(np.flatnonzero(total > top).max(initial=0))
    text = f"← all of July, up to {total.max():.0f} a second"
    axes.annotate(text, (over + 1, top), (6, -14), textcoords="offset points", ha="left")
    axes.set_title("Answers to users, by model version", loc="left")
    axes.set_ylabel("requests per second")
    axes.set_xlabel("time since the demo began [minutes:seconds]")
    axes.xaxis.set_major_locator(MultipleLocator(60))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{int(s) // 60}:{int(s) % 60:02d}"))
    axes.legend(loc="lower left", ncols=1, fontsize=9)
    axes.grid(axis="y", alpha=0.3)


def _answered(logs: list[Path], origin: float) -> np.ndarray:
    times: list[float] = []
    for path in logs:
        for line in path.read_bytes().splitlines():
            entry: dict[str, Any] = _parsed(line)
            if entry.get("role") == "answer":
                times.append(entry["received_at"] - origin)
    return np.array(times)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:  # a line torn by a killed server
        return {}
