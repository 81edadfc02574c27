"""The world that the demo plays in: a home under var/demo, a copy of the model with short stages, the data, the clients."""

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from sluicegate.local.stack import down, refuse_taken_ports
from sluicegate.settings import Settings
from sluicegate.supervisord import Supervisord
from sluicegate_demo.place import Pace, Place

MODEL = "flights"

RELEASE: dict[str, Any] = {
    "stages": [
        {"mirror": 30, "bake": "6s", "deadline": "60s", "min_requests": 300},
        {"weight": 5, "bake": "6s", "deadline": "60s", "min_requests": 20},
        {"weight": 25, "bake": "9s", "deadline": "90s", "min_requests": 100},
        {"weight": 50, "bake": "8s", "deadline": "90s", "min_requests": 300},
        {"weight": 100, "bake": "5s", "deadline": "60s", "min_requests": 300},
    ],
    "gates": {
        "p95_ms": 25,
        "error_rate": {"margin": "2pp"},
        "score": {"margin": 0.03},
        "decision_rate": {"margin": "6pp"},
    },
    "look_every": "300ms",
    "lease": "15s",
    "retention": "20s",
}
"""The demo's plan: the stages of a real one, with holds of seconds instead of hours."""


def demo_settings(name: str = "demo") -> Settings:
    """The installation's settings with the demo's own home and models."""
    settings = Settings.from_environment()
    home = settings.home / name
    return replace(settings, home=home, models=home / "models")


def local_place() -> Place:
    """A new world on this machine alone."""
    settings = demo_settings()
    fresh_world(settings, {"release": RELEASE})
    gateway = f"http://{settings.host}:{settings.gateway_port}"
    return Place(settings, gateway, Pace(july=1500, live=200), "make down", "Airflow, MLflow, Envoy, the lease guard")


def fresh_world(settings: Settings, changes: Mapping[str, Any]) -> None:
    """An empty home, and in it the flights model with these keys of its spec replaced."""
    if settings.home.exists():
        down(settings)  # also what is left of a demo whose supervisor was killed
    refuse_taken_ports(settings)
    shutil.rmtree(settings.home, ignore_errors=True)
    target = settings.models / MODEL
    shutil.copytree(settings.project / "include" / "models" / MODEL, target, ignore=shutil.ignore_patterns("__pycache__"))
    spec = yaml.safe_load((target / "spec.yaml").read_text())
    spec |= changes
    spec["comparison"]["neutral"] = "release"
    (target / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def apply_change(settings: Settings, name: str) -> None:
    """What an engineer's commit does: the model's features.py, as it was shipped, with the change of this name below."""
    shipped = (settings.project / "include" / "models" / MODEL / "features.py").read_text()
    change = (Path(__file__).parent / "changes" / f"{name}.py").read_text()
    (settings.models / MODEL / "features.py").write_text(shipped + change)


class Clients:
    """Users who ask the gateway: one supervised process of them after the other, each counted in a file of its own."""

    def __init__(self, settings: Settings, gateway: str) -> None:
        self._gateway = gateway
        self._supervisord = Supervisord(settings)
        self._folder = settings.home / "traffic"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._running: str | None = None
        self.tallies: list[Path] = []

    def start(self, name: str, rows: Path, rate: float, *, loop: bool, sample: int = 0) -> None:
        """Begin to send the rows; the process before must have ended."""
        stats = self._folder / f"{name}.json"
        what = ("--model", MODEL, "--rows", rows, "--rate", rate, "--sample", sample, "--stats", stats)
        command = (sys.executable, "-m", "sluicegate_demo.replay", *what, "--gateway", self._gateway, *["--loop"] * loop)
        self._running = f"traffic-{name}"
        self._supervisord.add(self._running, command, autorestart=False)
        self.tallies.append(stats)

    def wait(self) -> None:
        """Until all rows are answered."""
        while self._running is not None and self._supervisord.state(self._running) in ("STARTING", "RUNNING"):
            time.sleep(0.2)
        self.stop()

    def stop(self) -> None:
        """No new requests; those in flight are answered."""
        if self._running is not None:
            self._supervisord.remove(self._running)
            self._running = None

    def counts(self) -> dict[str, Any]:
        """Sum over all processes so far."""
        found = [json.loads(path.read_text()) for path in self.tallies if path.exists()]
        return {name: sum(t[name] for t in found) for name in ("sent", "answered", "failed")}
