"""What a person asks for in the UI, with the rights of Airflow's account and no others: traffic at once, servers by a pod."""

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

from sluicegate.actions.release import champion_version, deploy, enter_stage, open_rollout, promote, rollout
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.errors import RefusedError
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
PLAN = """\
release:
  stages: [{weight: 50, bake: 1h, deadline: 2h}, {weight: 100}]
  gates: {p95_ms: 25, error_rate: {}}
  lease: 30m
serving: {servers: 1, most: 1, cpu: 0.05}
"""
"""The lease outlasts these tests: what takes traffic and servers away is the person."""
NOBODY = "http://127.0.0.1:9"
"""A Prometheus that does not answer: nobody judges here."""
UNNEEDED = ("deployment/sluicegate-sweep", "deployment/sluicegate-joiner")
"""Nobody else may end a rollout here, and nobody judges."""
LIBRARIES = ("kubernetes", "kubernetes_asyncio")
"""Both read KUBECONFIG once, when they are imported."""


@dataclass
class Ground:
    """A whole installation with our own Envoys, and one version in service."""

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
        task.context |= {"params": params, "dag_run": SimpleNamespace(triggering_user_name="anna", run_after=datetime.now(UTC))}
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

    def _names(self, kind: str, role: str) -> list[str]:
        asked = ("get", kind, "-l", f"sluicegate/role={role}", "-o", "jsonpath={.items[*].metadata.name}")
        return self.place.cluster.kubectl("-n", self.place.namespace, *asked).stdout.split()

    def _deployed(self, ports: Wiring) -> str:
        mark = uuid.uuid4().hex[:8]
        package = toy_package(self.folder / mark).folder
        made = ports.registry.register(MODEL, package, {"train_key": mark, "model_hash": mark})
        data = {"version": made.version, "verdict": "promote", "release": True, "champion": champion_version(ports, MODEL)}
        ports.journal.append(MODEL, "", Kind.REGISTERED, {**data, "predicted": None}, author="test")
        opened = open_rollout(ports, MODEL, made.version, author="test", run_id=mark)
        return deploy(ports, MODEL, opened.rollout_id, author="test").rollout_id


@pytest.fixture(scope="module")
def ground(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("operate")
    models = folder / "models" / MODEL
    models.mkdir(parents=True)
    (models / "spec.yaml").write_text(SPEC[: SPEC.index("release:")] + PLAN)
    (models / "features.py").write_text(FEATURES)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        with s3_prefix("operate") as url:
            settings = Settings(
                profile="kubernetes",
                namespace=f"sg-test-{uuid.uuid4().hex[:8]}",
                store_url=url,
                home=folder,
                models=models.parent,
                image_work=images["work"],
                image_serve=images["serve"],
                prometheus_url=NOBODY,
            )
            place = Installation(cluster, settings)
            try:
                place.make({role: images[role] for role in ROLES}, NOBODY)
                cluster.kubectl("-n", place.namespace, "scale", "--replicas=0", *UNNEEDED)
                answers: dict[str, Any] = place.addresses()
                del answers["gateway"]
                made = Ground(place, replace(settings, **answers), folder)
                made.candidate(promoted=True)
                pod_trigger._ports.cache_clear()  # a triggerer belongs to one installation
                yield made
            finally:
                pod_trigger._ports.cache_clear()
                place.remove()


def test_the_account_of_airflow_may_itself_stop_no_server(ground: Ground) -> None:
    with ground.acting("airflow") as ports, pytest.raises(RefusedError, match=r"forbids .*deployments"):
        ports.runtime.stop(MODEL, str(champion_version(ports, MODEL)))


@pytest.mark.parametrize(("action", "outcome"), [("abort", Outcome.ABORTED), ("revert", Outcome.REVERTED)])
def test_who_stops_a_rollout_has_its_traffic_at_once_and_its_servers_soon(ground: Ground, action: str, outcome: Outcome) -> None:
    mine = ground.candidate(promoted=False)
    with ground.acting("airflow") as ports:
        task, champion = ground.chosen(action), str(champion_version(ports, MODEL))
        pause = task.begin()
        route = ports.router.read(MODEL)
        assert route is not None
        assert (route.weight, route.champion.version, len(ground.servers())) == (0, champion, 2)
        assert task.follow(pause)["outcome"] == outcome
        state = rollout(ports, MODEL, mine)
        (cut,) = ports.journal.events(MODEL, mine, kinds=(Kind.CUT,))
    assert (state.outcome, state.reason, cut.author) == (outcome, "customers call", "airflow-user:anna")
    assert state.followed_up == done("reverted", "candidate_alias")
    ground.left_with(champion)


@pytest.mark.parametrize("action", ["revert", "reinstate"])
def test_who_takes_a_promotion_back_leaves_no_server_of_it(ground: Ground, action: str) -> None:
    with ground.acting("airflow") as ports:
        old = champion_version(ports, MODEL)
    mine = ground.candidate(promoted=True)
    with ground.acting("airflow") as ports:
        ground.chosen(action).run()
        state, route = rollout(ports, MODEL, mine), ports.router.read(MODEL)
        assert route is not None
        assert (champion_version(ports, MODEL), route.champion.version, state.reinstated) == (old, old, True)
    ground.left_with(str(old))
    assert done("reinstated", "alias") <= state.followed_up


def test_who_retires_an_old_champion_leaves_no_server_of_it(ground: Ground) -> None:
    mine = ground.candidate(promoted=True)
    with ground.acting("airflow") as ports:
        ground.chosen("retire").run()
        state = rollout(ports, MODEL, mine)
        (retired,) = ports.journal.events(MODEL, mine, kinds=(Kind.RETIRED,))
    assert (state.retired, retired.author) == (True, "airflow-user:anna")
    ground.left_with(state.candidate)


def test_who_pauses_and_resumes_needs_no_pod(ground: Ground) -> None:
    mine = ground.candidate(promoted=False)
    with ground.acting("airflow") as ports:
        for action, held in (("pause", True), ("resume", False)):
            assert ground.chosen(action).begin() is None
            assert (rollout(ports, MODEL, mine).paused_at is not None, ground.verbs()) == (held, [])
        ground.chosen("abort").run()


def done(end: str, own: str) -> set[str]:
    """What follows an end."""
    return {f"{end}:{step}" for step in ("server", own, "incident", "notice")}
