"""Model servers, a joiner and a real Prometheus that scrapes them, on loopback: what pods would be, without a cluster's latency."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter, queries
from sluicegate.adapters.promql_meter.prometheus import Prometheus
from sluicegate.adapters.promql_meter.queries import GATEWAY, PAIRS, SERVERS
from sluicegate.domain.evidence import Reading
from sluicegate.domain.route import Route, Target
from sluicegate.serving.watched import EVIDENCE
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, get
from sluicegate.testing.meter_contract import FEATURES
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import SPEC, toy_package, toy_row
from sluicegate.testing.prometheus import RunningPrometheus, on_loopback, running_prometheus
from sluicegate.testing.waiting import wait_until

JOBS = {SERVERS: EVIDENCE, PAIRS: EVIDENCE, GATEWAY: "/stats/prometheus"}
PATIENCE_S = 90.0
PATIENT_S = 10.0
"""For one answer of a Prometheus on a machine that is busy with other tests."""


@dataclass
class Pod:
    """A model server and the port of its page for watchers."""

    version: str
    server: ModelServer
    port: int
    folder: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()


@dataclass
class Rig:
    """What runs: pods of version 1 (the champion) and 2 (the candidate), all scraped."""

    prometheus: RunningPrometheus
    package: Path
    home: Path
    stack: ExitStack
    pods: list[Pod] = field(default_factory=list)
    joiner: "subprocess.Popen[bytes] | None" = None
    joiner_port: int = 0

    @property
    def settings(self) -> Settings:
        return Settings(profile="kubernetes", home=self.home, router="istio", prometheus_url=self.prometheus.url)

    @property
    def meter(self) -> PromqlMeter:
        return PromqlMeter(self.settings, FolderDataset(self.settings), PATIENT_S)

    @property
    def route(self) -> Route:
        return Route("toy", Target("1", "toy-v1", 8080), Target("2", "toy-v2", 8080), 40, 100, "s", 1, time.time() + 60)

    def of(self, version: str) -> list[Pod]:
        return [pod for pod in self.pods if pod.version == version]

    def start_pod(self, version: str, again: Pod | None = None, linger: float = 0.0) -> Pod:
        """One more replica, or the next process of one that died: as a kubelet does it, at the same address."""
        folder = again.folder if again else self.home / f"toy-v{version}-{uuid4().hex[:6]}"
        probes, port = (again.port, again.server.port) if again else (free_port(), None)
        more = ("--pulse-port", str(probes), "--linger", str(linger))
        running = running_model_server(self.package, version, folder, port=port, wait=False, more=more)
        pod = Pod(version, self.stack.enter_context(running), probes, folder)
        wait_until(lambda: get(probes, "/health/ready"), PATIENCE_S)
        self.pods = [*(p for p in self.pods if p is not again), pod]
        self.scrape(pod)
        return pod

    def scraped(self) -> set[str]:
        """Pods that Prometheus has scraped and has not lost sight of."""
        vector = Prometheus(self.prometheus.url, PATIENT_S).query(queries.targets(queries.selector(job=SERVERS)))
        return {s.labels["pod"] for s in vector.samples if s.labels["fact"] == "up" and s.value == 1}

    def scrape(self, pod: Pod) -> None:
        self.prometheus.scrape(SERVERS, pod.address, model="toy", version=pod.version, pod=pod.folder.name)

    def remove_pod(self, pod: Pod) -> None:
        """As when a Deployment is scaled down: first the process ends, then its target goes."""
        pod.kill()
        self.pods.remove(pod)
        self.prometheus.forget(SERVERS, pod.address)

    def start_joiner(self) -> None:
        """Start it, or start it again at the same address."""
        self.joiner_port = self.joiner_port or free_port()
        command = [sys.executable, "-m", "sluicegate", "join", "--port", str(self.joiner_port)]
        environment = [f"{name}={value}" for name, value in self.settings.to_environment().items()]
        with (self.home / "join.log").open("ab") as log:
            self.joiner = subprocess.Popen(["env", *environment, *command], stdout=log, stderr=log)
        self.stack.callback(self.joiner.wait)
        self.stack.callback(self.joiner.kill)
        wait_until(lambda: get(self.joiner_port, "/health/live"), PATIENCE_S)
        self.prometheus.scrape(PAIRS, f"127.0.0.1:{self.joiner_port}")

    def serve(self, requests: int = 20) -> None:
        """Users and copies at the pods in turn, each tenth request an error; the copy goes to another place than its answer."""
        champions, candidates = self.of("1"), self.of("2")
        for number in range(requests):
            row = toy_row(number) | {"request_id": f"{uuid4()}", "site": "shop", "distance": 13 if number % 10 == 0 else 500.0}
            champions[number % len(champions)].server.ask(row)
            candidates[(number + 1) % len(candidates)].server.ask(row, headers={"host": "gateway-shadow"})
            candidates[number % len(candidates)].server.ask(row | {"request_id": f"{uuid4()}"})

    def read(self, candidate: str = "2") -> Reading:
        return self.meter.read(replace(self.route, candidate=Target(candidate, "toy", 8080)), since=0.0)

    def until(self, wanted: Callable[[Reading], object], candidate: str = "2") -> Reading:
        """Read until this is true of a reading; that reading."""

        def asked() -> Reading | None:
            reading = self.read(candidate)
            return reading if wanted(reading) else None

        def told() -> str:
            last = self.read(candidate)
            counts = [None if arm is None else sum(arm.requests) for arm in (last.champion, last.candidate, last.mirror)]
            return f"the last reading lacks {last.missing}, requests {counts}"

        return wait_until(asked, PATIENCE_S, told)

    def whole(self) -> Reading:
        """The next reading that lacks nothing."""
        return self.until(lambda reading: not reading.missing)

    def served(self, requests: int = 20) -> Reading:
        """Serve so many; the first reading that has all of them."""
        before = self.whole()
        self.serve(requests)
        return self.until(lambda after: not after.missing and grown(before, after) == (requests,) * 3 + (requests * 9 // 10,))


def grown(before: Reading, after: Reading) -> tuple[int, int, int, int]:
    """Requests that champion, candidate and mirror, and pairs, have more."""
    counts = []
    for reading in (before, after):
        assert reading.champion is not None
        assert reading.candidate is not None
        assert reading.mirror is not None
        assert reading.pairs is not None
        rows = (reading.champion.requests, reading.candidate.requests, reading.mirror.requests, reading.pairs.pairs)
        counts.append([sum(row) for row in rows])
    champion, candidate, mirror, pairs = (new - old for old, new in zip(*counts, strict=True))
    return champion, candidate, mirror, pairs


@contextmanager
def running_rig(program: str, home: Path, replicas: int = 1) -> Iterator[Rig]:
    """A rig from which everything can be read."""
    spec = SPEC.replace("    stops: {type", "    site: {type: string, required: false}\n    stops: {type")
    spec = spec.replace("[{weight: 100}]", "[{weight: 100}]\n  segments: [site]")
    package = toy_package(home, features=FEATURES, spec=spec).folder
    with ExitStack() as stack:
        prometheus = stack.enter_context(running_prometheus(program, home / "prometheus", on_loopback(home / "prometheus", JOBS)))
        rig = Rig(prometheus, package, home, stack)
        for version in "12" * replicas:
            rig.start_pod(version)
        rig.start_joiner()
        rig.whole()
        yield rig
