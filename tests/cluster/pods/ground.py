"""A whole installation in a namespace of its own, as the manifests make it, and a small model in service there."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.cluster.pods.rig import PATIENT_S, Task

from sluicegate.actions.release import champion_version, deploy, enter_stage, open_rollout, promote
from sluicegate.domain.rollout import Kind
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.package import FEATURES, SPEC, toy_package
from sluicegate.testing.s3 import s3_prefix
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring, wire
from sluicegate_airflow import pod_trigger
from sluicegate_airflow.tasks import operate_task
from sluicegate_demo.images import ROLES
from sluicegate_demo.installation import Installation

MODEL = "toy"
NOBODY = "http://127.0.0.1:9"
"""A Prometheus that does not answer: nobody judges here."""
LIBRARIES = ("kubernetes", "kubernetes_asyncio")
"""Both read KUBECONFIG once, when they are imported."""


@dataclass
class Ground:
    """An installation with our own Envoys, and who works with it from outside."""

    place: Installation
    settings: Settings
    folder: Path

    @contextmanager
    def acting(self, account: str) -> Iterator[Wiring]:
        """Everything in this process asks the cluster as this account."""
        path = str(self.place.kubeconfig(f"sluicegate-{account}", self.folder / "rights"))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (self.settings.to_environment() | {"KUBECONFIG": path}).items():
                patch.setenv(name, value)
            for library in LIBRARIES:
                patch.setattr(f"{library}.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", path)
            yield wire()

    def plan(self, abandoned: str = "30m") -> None:
        """What rollouts that are opened from now on go by. Their leases outlast these tests: something else ends them."""
        plan = {
            "release": "{stages: [{weight: 50, bake: 1h, deadline: 2h}, {weight: 100}], gates: {p95_ms: 25, error_rate: {}}, "
            f"lease: 30m, abandoned: {abandoned}}}",
            "serving": "{servers: 1, most: 1, cpu: 0.05}",
        }
        kept = SPEC[: SPEC.index("release:")]
        folder = self.settings.models / MODEL
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").write_text(kept + "".join(f"{key}: {value}\n" for key, value in plan.items()))
        (folder / "features.py").write_text(FEATURES)

    def candidate(self, *, promoted: bool) -> str:
        """A new version at 50 %, or in service with the old one warm; id of its rollout."""
        with self.acting("release") as ports:
            mine = self._deployed(ports)
            if champion_version(ports, MODEL) is not None:
                for index in range(2 if promoted else 1):
                    enter_stage(ports, MODEL, mine, index, author="test")
                    if promoted:
                        data = {"index": index, "verdict": "PASS", "reason": "all_gates_pass", "message": ""}
                        ports.journal.append(MODEL, mine, Kind.STAGE_DECIDED, data, author="test")
            if promoted:
                promote(ports, MODEL, mine, author="test")
        return mine

    def chosen(self, action: str) -> Task:
        """A person chooses; nothing has happened yet."""
        task = Task(operate_task(MODEL), run=f"manual__{action}_{uuid.uuid4().hex[:6]}")
        params = {"action": action, "reason": "customers call"}
        dag_run = SimpleNamespace(triggering_user_name="anna", run_after=datetime.now(UTC))
        task.context |= {"params": params, "dag_run": dag_run}
        return task

    def left_with(self, version: str) -> None:
        """The servers of one version, and no pod of a verb."""
        wait_until(lambda: (self.servers(), self.verbs()) == ({version}, []), PATIENT_S)

    def servers(self) -> set[str]:
        """Versions that have a Deployment."""
        return {thing.removeprefix(f"{MODEL}-v") for thing in self._names("deployments", "server")}

    def verbs(self) -> list[str]:
        """Pods of verbs."""
        return self._names("pods", "release")

    def kubectl(self, *arguments: str) -> str:
        """In this namespace, with all rights."""
        return self.place.cluster.kubectl("-n", self.place.namespace, *arguments).stdout

    @contextmanager
    def swept(self) -> Iterator[None]:
        """While the sweep runs; outside of this nobody else may end a rollout."""
        self.kubectl("scale", "--replicas=1", "deployment/sluicegate-sweep")
        self.kubectl("rollout", "status", "deployment/sluicegate-sweep", f"--timeout={PATIENT_S:g}s")
        yield
        self.kubectl("scale", "--replicas=0", "deployment/sluicegate-sweep")

    def _names(self, kind: str, role: str) -> list[str]:
        return self.kubectl("get", kind, "-l", f"sluicegate/role={role}", "-o", "jsonpath={.items[*].metadata.name}").split()

    def _deployed(self, ports: Wiring) -> str:
        """The server is there before its rollout: its start is silence too."""
        mark = uuid.uuid4().hex[:8]
        package = toy_package(self.folder / mark).folder
        made = ports.registry.register(MODEL, package, {"train_key": mark, "model_hash": mark})
        data = {"version": made.version, "verdict": "promote", "release": True, "champion": champion_version(ports, MODEL)}
        ports.journal.append(MODEL, "", Kind.REGISTERED, {**data, "predicted": None}, author="test")
        ports.runtime.start(MODEL, made.version, package)
        wait_until(lambda: any(s.ready for s in ports.runtime.status(MODEL) if s.target.version == made.version), PATIENT_S)
        opened = open_rollout(ports, MODEL, made.version, author="test", run_id=mark)
        return deploy(ports, MODEL, opened.rollout_id, author="test").rollout_id


@contextmanager
def standing(cluster: Cluster, images: Images, folder: Path) -> Iterator[Ground]:
    """The installation with one version in service; all of it goes with the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        with s3_prefix("installed") as url:
            settings = Settings(
                profile="kubernetes",
                namespace=f"sg-test-{uuid.uuid4().hex[:8]}",
                store_url=url,
                home=folder,
                models=folder / "models",
                image_work=images["work"],
                image_serve=images["serve"],
                prometheus_url=NOBODY,
            )
            place = Installation(cluster, settings)
            try:
                place.make({role: images[role] for role in ROLES}, NOBODY)
                answers: dict[str, Any] = place.addresses()
                del answers["gateway"]
                ground = Ground(place, replace(settings, **answers), folder)
                ground.kubectl("scale", "--replicas=0", "deployment/sluicegate-sweep", "deployment/sluicegate-joiner")
                ground.plan()
                ground.candidate(promoted=True)
                pod_trigger._ports.cache_clear()  # a triggerer belongs to one installation
                yield ground
            finally:
                pod_trigger._ports.cache_clear()
                place.remove()
