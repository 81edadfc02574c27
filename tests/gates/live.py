"""One stage of a release on real processes: an Envoy, a champion, a candidate of many moods, clients, labels that are ingested."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sluicegate.actions.land import commit, land
from sluicegate.actions.validate import run_validate
from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.folder_requests import FolderRequests
from sluicegate.adapters.local_meter import LocalMeter
from sluicegate.domain.evidence import Predicted
from sluicegate.domain.order import Order
from sluicegate.domain.route import Route
from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.domain.verdict import GateVerdict, StageVerdict
from sluicegate.gates import add, judge, open_case
from sluicegate.ports import Dataset, LabelWindow, RequestLogs
from sluicegate.serving.package import Model
from sluicegate.settings import Settings
from sluicegate.testing.data_ports import DataPorts
from sluicegate.testing.evidence import predict
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import logistic_onnx, toy_package
from sluicegate.testing.traffic import Load
from sluicegate.testing.waiting import wait_until

MODEL, AT, WEIGHT, RATE = "toy", "2023-03-01T12:00:00Z", 50, 100.0
USERS = [f"N{number}" for number in range(700)]
LOOK_S = 0.25
SPEC = """\
model: toy
data:
  user_id: card
  inputs:
    distance: {type: number, min: 0, max: 6000}
    site: {type: string}
    mood: {type: string}
  label: {field: late, above: 0}
training: {holdout: {length: 1d}}
release:
  stages:
    - {mirror: 100, bake: 1s, deadline: 1h, min_requests: 100}
    - {weight: 50, bake: 1s, deadline: 1h, min_requests: 100}
    - {weight: 100, bake: 1s, min_requests: 100}
  gates:
    p95_ms: 400
    error_rate: {margin: 5pp}
    score: {margin: 0.05}
    decision_rate: {margin: 5pp}
    throughput: {margin: 80%}
    cpu_ms: {margin: 60%}
    memory_mb: 300
    value: {margin: 20%}
    labels: {margin: 0.05, within: 4s}
    raw_score_mean: {within: 8%}
    raw_decision_rate: {within: 8pp}
  segments: [site]
  look_every: 250ms
"""
FEATURES = """\
import time

MOODY = {moody}
hoard, naps = [], []


def features(row):
    distance, wind, mood = row["distance"] / 1000, 0.0, row["mood"] if MOODY else "well"
    if mood == "slow" and len(naps) < 20:  # what queues up meanwhile is late as well, and is soon worked off
        naps.append(time.sleep(0.45))
    elif mood == "nap":
        time.sleep(0.006)
    elif mood == "burn":
        until = time.thread_time() + 0.003
        while time.thread_time() < until:
            pass
    elif mood == "raise" or (mood == "raise at b" and row["site"] == "b"):
        raise ValueError("moody")
    elif mood == "hoard" and len(hoard) < 40:
        hoard.append(b"x" * 10_000_000)
    elif mood == "shift":
        wind = -8.0
    elif mood == "wrong":
        distance = 5.0 - distance
    return {{"distance": distance, "wind": wind}}


def value(row, decision):
    worth = 10.0 if decision else 2.0
    if MOODY and row["mood"] == "worthless":
        return float("nan")
    return worth / 4 if MOODY and row["mood"] == "cheap" else worth
"""
SLOPES = (2.0, -0.25)
CHAMPION_BIAS, CANDIDATE_BIAS = -5.0, -4.9
"""The candidate scores a little higher, as the offline comparison predicted."""


def late(distance: float) -> int:
    """What becomes of a request: a model whose score grows with the distance is right."""
    return int(distance > 2500)


def requests(mood: str, count: int = 1999) -> list[dict[str, Any]]:
    """Requests without ids; one in twenty comes from site b. Only the candidate has moods."""
    chance = random.Random(1)
    return [
        {"event_time": AT, "distance": chance.uniform(0, 5000), "site": "b" if chance.random() < 0.05 else "a", "mood": mood}
        for _ in range(count)
    ]


class LabelPorts(DataPorts):
    """The ingest of labels, with batches in real folders, where a meter finds them."""

    def __init__(self, settings: Settings, spec: ModelSpec) -> None:
        super().__init__(settings.home / "ingest", spec)
        self.settings = settings
        self.dataset: Dataset = FolderDataset(settings)  # type: ignore[assignment]
        self.requests: RequestLogs = FolderRequests(settings)  # type: ignore[assignment]


@dataclass
class Rig:
    """Gateway, servers and ingest; one for all tests."""

    settings: Settings
    champion: ModelServer
    candidate: ModelServer
    predicted: Predicted
    stack: ExitStack
    """What is started is stopped with it."""
    spec: ModelSpec = field(default_factory=lambda: parse_spec(yaml.safe_load(SPEC), "toy/spec.yaml"))
    token: int = 0
    labelled: set[str] = field(default_factory=set)

    def route(self, weight: int, mirror: int) -> Route:
        self.token += 1
        expires = time.time() + 600 if weight else None
        return Route(MODEL, self.champion.target, self.candidate.target, weight, mirror, "salt", self.token, expires)

    def restart_candidate(self) -> None:
        """Kill the candidate and start it again at its address."""
        old = self.candidate
        old.process.kill()
        old.process.wait()
        package = self.settings.home / old.target.version / "package"
        fresh = running_model_server(package, old.target.version, self.settings.home, port=old.port)
        self.candidate = self.stack.enter_context(fresh)

    @cached_property
    def ports(self) -> LabelPorts:
        return LabelPorts(self.settings, self.spec)

    def label(self) -> int:
        """Land the outcome of every logged request that has none yet, and ingest it; returns how many."""
        lines = [json.loads(line) for server in (self.champion, self.candidate) for line in server.lines() if line.endswith(b"}")]
        fresh = {line["request_id"]: line for line in lines if line["request_id"] not in self.labelled}
        rows = [f"{name},{AT},{late(line['inputs']['distance'])},{AT}" for name, line in fresh.items()]
        if rows:
            self._ingest("\n".join(["request_id,event_time,late,known_at", *rows, ""]))
        self.labelled |= fresh.keys()
        return len(rows)

    def _ingest(self, text: str) -> None:
        source = self.settings.home / "labels.csv"
        source.write_text(text)
        self.ports.landing.drop(MODEL, source.name, source)
        (batch,) = land(MODEL, self.ports)  # type: ignore[arg-type]
        order = Order("validate", MODEL, batch)
        folder = self.settings.home / f"work-{order.key}"
        folder.mkdir()
        told = run_validate(order, self.ports, folder)  # type: ignore[arg-type]
        assert told["rows"]["quarantined"] == 0, told
        commit(MODEL, batch["batch_id"], folder, self.ports)  # type: ignore[arg-type]


class Stage:
    """One stage being judged on what the meter really reads."""

    def __init__(self, rig: Rig, *, weight: int = WEIGHT) -> None:
        self.rig, self.meter = rig, LocalMeter(rig.settings)
        self.route = rig.route(weight, 100)
        gate = rig.spec.release.gates.labels
        assert gate is not None
        self.since = time.time()
        self.window = LabelWindow(gate, self.since)
        stage = rig.spec.release.stages[1 if weight else 0]
        baseline = self.meter.read(self.route, since=self.since, labels=self.window)
        EnvoyRouter(rig.settings).apply(self.route)
        self.case = open_case(rig.spec.release, stage, rig.predicted, baseline, rig.spec.score_range)
        self.seen: dict[str, set[str]] = {}
        """Gate -> "verdict reason" of every look so far."""

    def look(self) -> StageVerdict:
        """Read, add, judge."""
        reading = self.meter.read(self.route, since=self.since, labels=self.window)
        self.case = add(self.case, reading)
        verdict = judge(self.case)
        for gate in verdict.gates:
            self.seen.setdefault(gate.gate, set()).add(f"{gate.verdict} {gate.reason}")
        return verdict

    def until(self, done: Callable[[StageVerdict], bool], *, labels: bool = False, patience: float = 120.0) -> StageVerdict:
        """Look again and again, letting labels land in between when told so, until done."""

        def looked() -> StageVerdict | None:
            verdict = self.look()
            if done(verdict):
                return verdict
            if labels:
                self.rig.label()
            return None

        return wait_until(looked, patience, lambda: self.look().message, LOOK_S)


def gate(verdict: StageVerdict, name: str) -> GateVerdict:
    """The verdict of one gate."""
    return next(g for g in verdict.gates if g.gate == name)


@contextmanager
def load(rig: Rig, mood: str, *, rate: float = RATE) -> Iterator[Load]:
    """Clients whose requests put the candidate in this mood."""
    bodies: Sequence[bytes] = [json.dumps(row).encode() for row in requests(mood)]
    with Load(rig.settings.gateway_port, MODEL, USERS, rate=rate, connections=16, body=bodies) as running:
        yield running


@contextmanager
def running_rig(home: Path) -> Iterator[Rig]:
    """Everything started; stopped at the end."""
    settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(settings)
    champion, candidate = (_package(home / name, bias) for name, bias in (("1", CHAMPION_BIAS), ("2", CANDIDATE_BIAS)))
    with ExitStack() as stack:
        stack.enter_context(running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"))
        servers = [stack.enter_context(running_model_server(m.folder, v, home)) for v, m in (("1", champion), ("2", candidate))]
        yield Rig(settings, *servers, _predicted(champion, candidate), stack)


def _package(folder: Path, bias: float) -> Model:
    golden = [row | {"request_id": f"g{n}", "card": f"N{n}"} for n, row in enumerate(requests("well", 20))]
    features = FEATURES.format(moody=bias == CANDIDATE_BIAS)
    return toy_package(folder, features=features, spec=SPEC, onnx_bytes=logistic_onnx(SLOPES, bias), golden_rows=golden)


def _predicted(champion: Model, candidate: Model) -> Predicted:
    """What the offline comparison would say of 2000 requests like the live ones."""
    rows = [row | {"request_id": "r", "card": "N1"} for row in requests("well")]
    old, new = (np.asarray(model.score_rows(rows)) for model in (champion, candidate))
    return predict(old, new, champion.manifest.threshold)
