"""A small world for the orders train, compare and register: a model's two files, snapshots and results in folders."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from sluicegate.actions import carry_out
from sluicegate.domain.order import Order
from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.ports.estimators import Estimators
from sluicegate.settings import Settings
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal
from sluicegate.testing.registry import MemoryRegistry
from sluicegate.testing.request_logs import WrittenRequests

MODEL = "toy"
DAY = 86400.0
START = 1_700_000_000.0
SPEC: dict[str, Any] = {
    "model": MODEL,
    "data": {
        "user_id": "customer",
        "inputs": {
            "x": {"type": "number"},
            "z": {"type": "number", "required": False},
            "region": {"type": "string"},
        },
        "label": {"field": "loss", "above": 0},
    },
    "training": {
        "estimator": "xgboost.XGBClassifier",
        "params": {"n_estimators": 15, "max_depth": 3, "learning_rate": 0.3},
        "holdout": {"length": "30d", "embargo": "1d"},
    },
    "comparison": {"margin": 0.02, "slices": ["region"]},
    "release": {"stages": [{"mirror": 50}, {"weight": 100}], "gates": {"p95_ms": 80}},
}
BLIND = "def features(row):\n    return {'x': float(row['x'])}\n"
"""A features.py that overlooks z."""
SIGHTED = (
    "def features(row):\n    z = row['z']\n    return {'x': float(row['x']), 'z': float('nan') if z is None else float(z)}\n"
)
"""A features.py that uses everything: clearly better where z matters."""


def toy_rows(n: int = 3000, *, days: float = 120, customers: int = 300, seed: int = 0) -> dict[str, Any]:
    """Columns of a snapshot: the label depends on x and z alike, z is missing in a tenth, labels are known after an hour."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    at = START + np.sort(rng.random(n)) * days * DAY
    return {
        "request_id": [f"r{i:06d}" for i in range(n)],
        "event_time": at,
        "user": [f"c{i}" for i in rng.integers(0, customers, n)],
        "x": x,
        "z": [None if hole else float(v) for v, hole in zip(z, rng.random(n) < 0.1, strict=True)],
        "region": rng.choice(["north", "south", "west"], n, p=[0.5, 0.4, 0.1]).tolist(),
        "label": x + z + 0.7 * rng.normal(size=n),
        "known_at": at + 3600.0,
    }


class LearningWorld:
    """Ports of a world in which one model learns; `estimators` are the real ones, handed in by the test."""

    def __init__(self, folder: Path, estimators: Estimators, spec: Mapping[str, Any] = SPEC, features: str = SIGHTED) -> None:
        self.settings = Settings(home=folder / "var", models=folder / "models")
        self.estimators = estimators
        self.clock = VirtualClock()
        self.journal = MemoryJournal(self.clock)
        self.registry = MemoryRegistry(folder / "registry")
        self.requests = WrittenRequests(self.settings)
        self.dataset: Any = self
        self.results: Any = self
        self.write(spec, features)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the small world of learning has no port '{name}'")

    def write(self, spec: Mapping[str, Any] | None = None, features: str | None = None) -> None:
        """Write the model's two files."""
        folder = self.settings.models / MODEL
        folder.mkdir(parents=True, exist_ok=True)
        if spec is not None:
            (folder / "spec.yaml").write_text(yaml.safe_dump(dict(spec)))
        if features is not None:
            (folder / "features.py").write_text(features)

    def spec(self, model: str) -> ModelSpec:
        return parse_spec(yaml.safe_load((self.settings.models / model / "spec.yaml").read_text()), "spec.yaml")

    def keep_rows(self, name: str, columns: Mapping[str, Any], as_of: float | None = None) -> str:
        """Keep a snapshot under a name of the test's choice."""
        folder = self.snapshot(MODEL, name)
        folder.mkdir(parents=True)
        pq.write_table(_table(columns), folder / "data.parquet")
        (folder / "manifest.json").write_text(json.dumps({"snapshot_id": name, "as_of": as_of}))
        return name

    def snapshot(self, model: str, snapshot_id: str) -> Path:
        return self.settings.data / model / "snapshots" / snapshot_id

    def find(self, key: str) -> Path | None:
        folder = self.settings.results / key
        return folder if (folder / "result.json").is_file() else None

    def keys(self) -> list[str]:
        return sorted(path.parent.name for path in self.settings.results.glob("*/result.json"))

    def commit(self, key: str, folder: Path) -> Path:
        shutil.move(folder, self.settings.results / key)
        return self.settings.results / key

    def train(self, snapshot_id: str, seed: int = 1) -> Mapping[str, Any]:
        """Carry out the order for the files as they are now."""
        files = {f"{n}_digest": _digest(self.settings.models / MODEL / f) for n, f in FILES.items()}
        return self.carry("train", {"snapshot_id": snapshot_id, "seed": seed, **files})

    def compare(self, trained: Mapping[str, Any], snapshot_id: str, champion: str | None) -> Mapping[str, Any]:
        inputs = {"train_key": trained["train_key"], "snapshot_id": snapshot_id, "champion_version": champion}
        return {**self.carry("compare", inputs), "compare_key": Order("compare", MODEL, inputs).key}

    def register(self, trained: Mapping[str, Any], compared: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.carry("register", {"train_key": trained["train_key"], "compare_key": compared["compare_key"]})

    def champion(self, snapshot_id: str, features: str | None = None) -> str:
        """Train, compare with nobody and register: the version of a first champion."""
        self.write(features=features)
        trained = self.train(snapshot_id)
        return str(self.register(trained, self.compare(trained, snapshot_id, None))["version"])

    def carry(self, action: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return carry_out(Order(action, MODEL, inputs), self)


FILES = {"spec": "spec.yaml", "features": "features.py"}


def _table(columns: Mapping[str, Any]) -> pa.Table:
    times = {n: pa.array(np.round(np.asarray(columns[n]) * 1e6).astype("int64"), pa.timestamp("us", "UTC")) for n in TIMES}
    return pa.table({**{name: pa.array(values) for name, values in columns.items() if name not in TIMES}, **times})


TIMES = ("event_time", "known_at")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
