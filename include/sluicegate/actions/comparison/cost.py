"""What a package costs to serve: time per row in this process, and bytes."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sluicegate.serving.package import load_package

ROWS = 400
WARM_UP = 50


def cost(package: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Median and 95th percentile of one row's features and score (microseconds), and the package's size (bytes).

    A fresh copy of the model scores every row once: features.py may keep state.
    """
    model = load_package(package)
    times = []
    for row in rows[: ROWS + WARM_UP]:
        start = time.perf_counter_ns()
        model.score_row(row)
        times.append((time.perf_counter_ns() - start) / 1000)
    measured = np.asarray(times[WARM_UP:] or times)
    size = sum(p.stat().st_size for p in package.rglob("*") if p.is_file())
    return {"p50_us": float(np.median(measured)), "p95_us": float(np.quantile(measured, 0.95)), "bytes": float(size)}
