"""The full comparison report of a million rows: seconds, memory, binning error.

    python benchmarks/comparison.py [rows]

From both models' scores to verdict and report.html: clustered DeLong, 2000 clustered resamples of three more metrics, 20 slices,
two protected slices, McNemar, calibration, flips, pictures. Scoring the rows is the models' business and not counted.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sluicegate.actions.compare import conclude
from sluicegate.actions.comparison.ground import Entrant, Ground
from sluicegate.actions.comparison.looks import look_at
from sluicegate.actions.comparison.paired import Vector, clusters_of
from sluicegate.actions.holdout.labelled import Labelled
from sluicegate.domain.order import Order
from sluicegate.domain.spec import parse_spec

USERS_OF_ROWS = 10
VALUES = 8
SPEC = {
    "model": "big",
    "data": {
        "user_id": "customer",
        "inputs": {"region": {"type": "string"}, "device": {"type": "string"}, "age": {"type": "number"}},
        "label": {"field": "y", "above": 0},
    },
    "training": {"holdout": {"length": "30d"}},
    "comparison": {
        "slices": ["region", "device", "age"],
        "protected": ["region=region 0", "device=device 1"],
        "gates": {"flips": "30%", "negative_flips": "20%", "brier": 0.005},
    },
    "release": {"stages": [{"weight": 100}], "gates": {"p95_ms": 80}},
}


def ground_of(rows: int) -> tuple[Ground, Entrant, Entrant]:
    """Rows of customers who resemble themselves, and two models of which the candidate is a little better."""
    rng = np.random.default_rng(1)
    customer = rng.integers(0, rows // USERS_OF_ROWS, rows)
    truth = 0.5 * rng.normal(size=rows // USERS_OF_ROWS)[customer] + rng.normal(size=rows)
    y = (rng.random(rows) < _probability(truth)).astype(np.float64)
    users = np.array([f"c{c}" for c in customer])
    columns = {
        "request_id": [f"r{i}" for i in range(rows)],
        "event_time": ["2026-01-01T00:00:00Z"] * rows,
        "customer": users.tolist(),
        "region": [f"region {i}" for i in rng.integers(0, VALUES, rows)],
        "device": [f"device {i}" for i in rng.integers(0, VALUES, rows)],
        "age": rng.normal(50, 15, rows).tolist(),
    }
    times = np.sort(rng.random(rows)) * 30 * 86400
    holdout = Labelled(columns, np.array(columns["request_id"]), users, times, times + 60, y, np.inf)
    spec = parse_spec(SPEC, "benchmark")
    traps = {"mean_label_training": 0.2, "mean_label": float(y.mean()), "repeats_of_training_rows": 0, "censored": None}
    ground = Ground(spec, holdout, clusters_of(holdout, spec), None, 0.0, traps)
    scores = {
        name: _probability(truth + noise * rng.normal(size=rows)) for name, noise in (("champion", 0.7), ("candidate", 0.65))
    }
    window = {"train_until": -86400.0, "train_known_until": -86400.0}
    champion, candidate = (Entrant(name, "1", Path(), values, window, name, 0.5) for name, values in scores.items())
    return ground, candidate, champion


def _probability(truth: Vector) -> Vector:
    chances: Vector = 1 / (1 + np.exp(2 - truth))
    return chances


def main(rows: int) -> None:
    ground, candidate, champion = ground_of(rows)
    before = _peak_mib()
    spent = {name: {"p50_us": 20.0, "p95_us": 30.0, "bytes": 1e5} for name in ("champion", "candidate")}
    order = Order("compare", "big", {"train_key": "t", "snapshot_id": "s"})
    with tempfile.TemporaryDirectory() as folder:
        start, busy = time.perf_counter(), time.process_time()
        clusters_of(ground.holdout, ground.spec)  # part of the work, done once above
        result = conclude(Path(folder), order, ground, candidate, champion, spent, look_at(ground.spec.comparison, 1))
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        page = (Path(folder) / "report.html").stat().st_size
    print(f"{rows:,} rows, {result['numbers']['units']:,} customers: {result['verdict']}, {result['message']}")
    print(
        f"{seconds:.2f} s ({busy:.2f} s of processor time), peak {_peak_mib():,.0f} MiB of which {before:,.0f} MiB are the rows"
    )
    print(f"report {page / 1024:,.0f} KiB")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
