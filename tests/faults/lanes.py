"""Small models that are released one after the other: real packages in the real registry, without the hours of a real training."""

import contextlib
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sluicegate.actions.release import champion_version
from sluicegate.domain.rollout import Kind
from sluicegate.settings import Settings
from sluicegate.testing.package import FEATURES, toy_package, toy_row
from sluicegate.wiring import Wiring

LEASE_S = 5.0
PLAN = {
    "stages": [
        {"mirror": 50, "bake": "1s", "deadline": "60s", "min_requests": 10},
        *({"weight": w, "bake": "1s", "deadline": "60s", "min_requests": n} for w, n in ((5, 2), (25, 5), (50, 10), (100, 10))),
    ],
    "gates": {"p95_ms": 500, "error_rate": {"margin": "50pp"}},
    "look_every": "500ms",
    "lease": f"{LEASE_S:g}s",
    "retention": "1s",
    "abandoned": "40s",
}
"""The staircase of a real plan with bakes of a second; margins so wide that a handful of requests decides."""
WEIGHTS = (0, 5, 25, 50, 100)
AUTHOR = "faults"


@dataclass
class Lane:
    """One model and its versions."""

    ports: Wiring
    folder: Path
    """For packages that wait to be registered."""
    model: str

    def write_model(self) -> None:
        """What a user brings: two files."""
        home = self.ports.settings.models / self.model
        home.mkdir(parents=True, exist_ok=True)
        (home / "spec.yaml").write_text(self._spec())
        (home / "features.py").write_text(FEATURES)

    def register(self, number: int) -> str:
        """Version `number`, compared with the present champion; the registry's and the journal's own verbs. Again is the same."""
        made = toy_package(self.folder / f"{self.model}-{number}", features=f"{FEATURES}# {number}\n", spec=self._spec())
        key = f"{self.model}-{number}"
        traced = {"model_hash": made.manifest.model_hash, "snapshot_id": "none", "code_digest": str(number)}
        tags = {**traced, "train_key": key, "compare_key": key, "verdict": "promote"}
        version = self.ports.registry.register(self.model, made.folder, tags).version
        self.ports.registry.alias(self.model, "candidate", version)
        compared = {"version": version, "verdict": "promote", "reason": "better", "message": "", "release": True}
        data = {**compared, **traced, "predicted": predicted(made), "train_key": key, "compare_key": key}
        champion = champion_version(self.ports, self.model)
        self.ports.journal.append(self.model, "", Kind.REGISTERED, {**data, "champion": champion}, author=AUTHOR)
        return version

    def _spec(self) -> str:
        spec = {
            "model": self.model,
            "data": {
                "user_id": "tailnum",
                "inputs": {"distance": {"type": "number"}, "wind": {"type": "number", "required": False}},
                "label": {"field": "arr_delay", "above": 15},
            },
            "training": {"estimator": "sklearn.linear_model.LogisticRegression", "holdout": {"length": "1d"}},
            "release": PLAN,
        }
        return yaml.safe_dump(spec, sort_keys=False)


def predicted(model: Any) -> dict[str, Any]:
    """What an offline comparison would have written about the rows that the clients send."""
    scores = model.score_rows(toy_row(number) for number in range(400))
    shares = [sum(place / 20 <= s < (place + 1) / 20 for s in scores) / len(scores) for place in range(20)]
    decided = sum(model.decide(s) for s in scores) / len(scores)
    return {"rows": len(scores), "mean_score": float(scores.mean()), "decision_rate": decided, "histogram": shares}


def body(number: int, user: str) -> bytes:
    """A request of this user."""
    return json.dumps({**toy_row(number), "tailnum": user}).encode()


def lanes(ports: Wiring, folder: Path, how_many: int) -> list[Lane]:
    """As many models, written but without any version."""
    found = [Lane(ports, folder, f"lane{number}") for number in range(how_many)]
    for lane in found:
        lane.write_model()
    return found


def settings_in(home: Path, journal: str = "") -> Settings:
    """An installation of its own: home, models, and ports that nobody has; the journal there unless its URL says elsewhere."""
    first_port = _free_block()
    names = ("AIRFLOW", "MLFLOW", "GATEWAY", "GATEWAY_ADMIN", "SERVER")
    ports = {f"SLUICEGATE_{name}_PORT": str(first_port + place) for place, name in enumerate(names)}
    return Settings.from_environment(
        {"SLUICEGATE_HOME": str(home), "SLUICEGATE_MODELS": str(home / "models"), "SLUICEGATE_JOURNAL_URL": journal, **ports}
    )


def _free_block() -> int:
    """First of 50 ports below those that the system gives out by itself; none of the first ten is taken."""
    for first in range(26_000, 32_000, 50):
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for port in range(first, first + 10):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise OSError("no block of ten free ports between 26000 and 32000")
