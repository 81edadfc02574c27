"""Two model servers, a joiner and a real Prometheus that scrapes them, on loopback."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.adapters.promql_meter.queries import PAIRS, SERVERS
from sluicegate.domain.evidence import Reading
from sluicegate.domain.route import Route, Target
from sluicegate.serving.watched import EVIDENCE
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, get, started, wait_until
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import SPEC, toy_package, toy_row
from sluicegate.testing.prometheus import RunningPrometheus, running_prometheus

FEATURES = """\
def features(row):
    if row["distance"] == 13:
        raise ValueError("unlucky")
    return {"distance": row["distance"] / 1000, "wind": 0.0}


def value(row, decision):
    return row["distance"] if decision else 1.0
"""
JOBS = {SERVERS: EVIDENCE, PAIRS: EVIDENCE}
PATIENCE_S = 60.0


@dataclass
class Pod:
    """A model server and the port of its page for watchers."""

    server: ModelServer
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass
class Rig:
    """What runs: pods of version 1 (the champion) and 2 (the candidate), all scraped."""

    prometheus: RunningPrometheus
    package: Path
    home: Path
    stack: ExitStack
    pods: dict[str, list[Pod]] = field(default_factory=lambda: {"1": [], "2": []})
    joiner: "subprocess.Popen[bytes] | None" = None

    @property
    def settings(self) -> Settings:
        return Settings(profile="kubernetes", home=self.home, router="istio", prometheus_url=self.prometheus.url)

    @property
    def meter(self) -> PromqlMeter:
        return PromqlMeter(self.settings)

    @property
    def route(self) -> Route:
        return Route("toy", Target("1", "toy-v1", 8080), Target("2", "toy-v2", 8080), 40, 100, "s", 1, time.time() + 60)

    def start_pod(self, version: str) -> Pod:
        """One more replica, as soon as Prometheus knows it."""
        port, folder = free_port(), self.home / f"pod-{uuid4().hex[:6]}"
        running = running_model_server(self.package, version, folder, more=("--pulse-port", str(port)))
        pod = Pod(self.stack.enter_context(running), port)
        self.pods[version].append(pod)
        self.prometheus.scrape(SERVERS, pod.address, model="toy", version=version, pod=folder.name)
        return pod

    def start_joiner(self) -> None:
        port = free_port()
        command = [sys.executable, "-m", "sluicegate", "join", "--port", str(port)]
        environment = self.settings.to_environment()
        self.joiner = self.stack.enter_context(
            started(["env", *(f"{k}={v}" for k, v in environment.items()), *command], self.home / "join.log")
        )
        wait_until(lambda: bool(get(port, "/health/live")), PATIENCE_S)
        self.prometheus.scrape(PAIRS, f"127.0.0.1:{port}")

    def serve(self, requests: int = 20) -> None:
        """Users and copies at every pod, each tenth with an error."""
        for number in range(requests):
            row = toy_row(number) | {"request_id": f"{uuid4()}", "site": "shop", "distance": 13 if number % 10 == 0 else 500.0}
            champion, candidate = (self.pods[version][number % len(self.pods[version])].server for version in "12")
            champion.ask(row)
            candidate.ask(row, headers={"host": "gateway-shadow"})
            candidate.ask(row | {"request_id": f"{uuid4()}"})

    def read(self) -> Reading:
        return self.meter.read(self.route, since=0.0)

    def until(self, wanted: object, what: str = "missing") -> Reading:
        """Read until a field of the reading is this; the reading."""
        found: list[Reading] = []

        def asked() -> bool:
            found.append(self.read())
            return bool(getattr(found[-1], what) == wanted)

        try:
            wait_until(asked, PATIENCE_S)
        except TimeoutError as e:
            raise AssertionError(f"{what} is not {wanted!r}: {found[-1].missing}, {found[-1]!r:.300}") from e
        return found[-1]

    def until_whole(self) -> Reading:
        return self.until(())


@contextmanager
def running_rig(program: str, home: Path, replicas: int = 1) -> Iterator[Rig]:
    """A rig from which everything can be read."""
    spec = SPEC.replace("    stops: {type", "    site: {type: string, required: false}\n    stops: {type")
    spec = spec.replace("[{weight: 100}]", "[{weight: 100}]\n  segments: [site]")
    package = toy_package(home, features=FEATURES, spec=spec).folder
    with ExitStack() as stack:
        prometheus = stack.enter_context(running_prometheus(program, home / "prometheus", JOBS))
        rig = Rig(prometheus, package, home, stack)
        for version in "12" * replicas:
            rig.start_pod(version)
        rig.start_joiner()
        rig.until_whole()
        yield rig
