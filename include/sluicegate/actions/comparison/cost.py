"""What packages cost to serve: time per row in this process, and bytes."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sluicegate.serving.package import load_package

ROWS = 400
WARM_UP = 50


def costs(packages: Mapping[str, Path], rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of one row's features and score (microseconds), and the package's size (bytes), by name.

    Fresh copies of the models score every row once, in turns: features.py may keep state, and a busy machine slows both alike.
    """
    models = {name: load_package(package) for name, package in packages.items()}
    times: dict[str, list[float]] = {name: [] for name in packages}
    for row in rows[: ROWS + WARM_UP]:
        for name, model in models.items():
            start = time.perf_counter_ns()
            model.score_row(row)
            times[name].append((time.perf_counter_ns() - start) / 1000)
    return {name: _summary(np.asarray(spent[WARM_UP:] or spent), packages[name]) for name, spent in times.items()}


def _summary(times: np.ndarray[tuple[int], np.dtype[np.float64]], package: Path) -> dict[str, float]:
    size = sum(p.stat().st_size for p in package.rglob("*") if p.is_file())
    return {"p50_us": float(np.median(times)), "p95_us": float(np.quantile(times, 0.95)), "bytes": float(size)}
