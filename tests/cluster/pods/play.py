"""A row of the fault matrix while it is played: one order that trains, its task, its pods, its way to the store."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import yaml
from tests.cluster.pods.gate import Gate, Place
from tests.cluster.pods.life import Life, Setup, Told, live
from tests.cluster.pods.rig import World, plausible

from sluicegate import kube
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job
from sluicegate.domain.resources import Resources
from sluicegate.testing import learning
from sluicegate.testing.relay import Relay
from sluicegate_airflow.inputs import INPUTS

SNAPSHOT = "s1"
NEEDS = {"cpu": "10m", "memory": "768Mi", "disk": "256Mi"}
LABEL = {"field": "loss", "above": 30}


@dataclass(frozen=True)
class Row:
    """What is done to a training, and what must be true in the end."""

    name: str
    accident: Callable[["Play"], None]
    says: str
    """A line of the task's log."""
    said: int = 1
    """How often at least; lines that every task has tell something only where it is often."""
    pods: int = 1
    began: int = 1
    """Pods in which the training began."""
    complete: int = 1
    """Trainings that came to their end, which is what must never be two."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    features: str = learning.SIGHTED
    patience: Mapping[str, float] = field(default_factory=dict)
    """Constants of `pod_fate` that are too long for a test."""


@dataclass
class Seen:
    """All pods of a namespace that there ever were: uid → model, and address once it had one."""

    world: World
    pods: dict[str, tuple[str, str]] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        command = ["kubectl", "get", "pods", "--namespace", self.world.namespace, "--watch", "-o", "json"]
        with subprocess.Popen(command, env=dict(self.world.cluster.environment), stdout=subprocess.PIPE, text=True) as watch:
            reader = threading.Thread(target=self._read, args=(watch.stdout,))
            reader.start()
            try:
                yield
            finally:
                watch.terminate()
                reader.join()

    def of(self, model: str) -> dict[str, str]:
        """The model's pods: uid → address."""
        return {uid: address for uid, (whose, address) in list(self.pods.items()) if whose == model}

    def _read(self, told: Iterable[str]) -> None:
        text = ""
        for line in told:
            text += line
            if line == "}\n":
                pod, text = json.loads(text), ""
                meta, (_, known) = pod["metadata"], self.pods.get(pod["metadata"]["uid"], ("", ""))
                whose = meta.get("labels", {}).get("sluicegate/model", "")
                self.pods[meta["uid"]] = (whose, pod["status"].get("podIP", known))


@dataclass
class Play:
    """What an accident can do."""

    row: Row
    world: World
    seen: Seen
    models: Path
    gate: Gate
    stack: ExitStack
    life: Life = field(init=False)

    def __post_init__(self) -> None:
        own = {"SLUICEGATE_MODELS": str(self.models), "AWS_ENDPOINT_URL": self.gate.url}
        environment = {**self.world.cluster.environment, **self.world.settings.to_environment(), **own}
        log = self.models.parent / f"{self.row.name}.log"
        self.life = Life(Setup(environment, self.row.name, SNAPSHOT, self.gate.url, log, self.row.patience))
        self.stack.callback(self.life.close)
        self.stack.callback(self.gate.let_go)
        self.write(**self.row.resources)
        self._keep()

    def write(self, **resources: Any) -> None:
        """The model's two files."""
        folder = self.models / self.row.name
        folder.mkdir(exist_ok=True)
        data = {**learning.SPEC["data"], "label": LABEL}
        training = {**learning.SPEC["training"], "resources": {**NEEDS, **resources}}
        spec = {**learning.SPEC, "model": self.row.name, "data": data, "training": training}
        (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
        (folder / "features.py").write_text(self.row.features)

    @property
    def pod(self) -> str:
        """Name of the pod that trains."""
        ports = self.world.with_models(self.models)
        inputs = INPUTS["train"](ports, self.row.name, {"snapshot": {"snapshot_id": SNAPSHOT}})
        return Job(Order("train", self.row.name, inputs), "", Resources(), "").name

    def hold(self, place: Place) -> None:
        """Begin, and wait until a pod is held at this place of its training."""
        self.gate.hold(place)
        self.life.begin()
        self.gate.wait()

    def knows(self, **more: str) -> None:
        """Airflow's processes get other settings."""
        self.life.setup = replace(self.life.setup, environment={**self.life.setup.environment, **more})

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> dict[str, Any]:
        """One request to the API server, with all rights."""
        return kube.request(self.world.api, method, path, body, content_type=kind)

    @cached_property
    def namespace(self) -> str:
        return f"/api/v1/namespaces/{self.world.namespace}"

    @cached_property
    def node(self) -> dict[str, Any]:
        return self.ask("GET", "/api/v1/nodes")["items"][0]

    def cordon(self, cordoned: bool) -> None:
        place = f"/api/v1/nodes/{self.node['metadata']['name']}"
        self.ask("PATCH", place, {"spec": {"unschedulable": cordoned}}, "application/merge-patch+json")

    def advertise(self, count: int | None) -> None:
        """The node has so many things of the kind that this row alone asks for; None takes the kind away."""
        place = f"/api/v1/nodes/{self.node['metadata']['name']}/status"
        amount = {self.thing: None if count is None else str(count)}
        body = {"status": {"capacity": amount, "allocatable": amount}}
        self.ask("PATCH", place, body, "application/merge-patch+json")
        if count is not None:
            self.stack.callback(self.advertise, None)

    @property
    def thing(self) -> str:
        return str(self.row.resources["gpu_name"])

    def away(self) -> Relay:
        """A way to the API server of Airflow's processes alone, to be cut."""
        known = json.loads(self.world.cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
        (place,) = known["clusters"]
        address = urlsplit(place["cluster"]["server"])
        relay = self.stack.enter_context(Relay((str(address.hostname), address.port or 443)))
        place["cluster"] |= {"server": f"https://{relay.host}:{relay.port}", "tls-server-name": "kubernetes"}
        path = self.models.parent / f"{self.row.name}.kubeconfig"
        path.write_text(json.dumps(known))
        self.knows(KUBECONFIG=str(path))
        return relay

    def _keep(self) -> None:
        folder = self.models.parent / "snapshots" / self.row.name
        folder.mkdir(parents=True)
        ports = self.world.with_models(self.models)
        pq.write_table(plausible(ports.spec(self.row.name), 400), folder / "data.parquet")
        (folder / "manifest.json").write_text(json.dumps({"snapshot_id": SNAPSHOT, "as_of": None}))
        ports.dataset.keep(self.row.name, SNAPSHOT, folder)


@dataclass(frozen=True)
class Record:
    """What was seen of a row."""

    log: list[str]
    pods: int
    began: int
    complete: int
    committed: int
    last: Told
    asked_again: Told
    pods_asked_again: int


def played(row: Row, world: World, seen: Seen, models: Path) -> Record:
    """Play the row; then ask for the same once more, as a person who clears the task does."""
    with ExitStack() as stack:
        gate = stack.enter_context(gate_of(world))
        play = Play(row, world, seen, models, gate, stack)
        row.accident(play)
        life, ends = play.life, len(play.life.ends)
        pods = seen.of(row.name)
        last = life.ends[-1]
        if last[0] == "success":
            life.start(live, life.tries + 1)
            life.end(ends)
        return Record(
            log=life.log,
            pods=len(pods),
            began=len(gate.began & set(pods.values())),
            complete=len(gate.complete),
            committed=len(gate.committed),
            last=last,
            asked_again=life.ends[-1],
            pods_asked_again=len(seen.of(row.name)),
        )


def gate_of(world: World) -> Gate:
    """A way to the store at that address of this machine which pods reach."""
    store = urlsplit(world.cluster.environment["AWS_ENDPOINT_URL"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((store.hostname, store.port or 80))  # sends nothing
        here = str(probe.getsockname()[0])
    return Gate((str(store.hostname), store.port or 80), here)
