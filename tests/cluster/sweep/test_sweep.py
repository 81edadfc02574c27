"""The sweep as the manifests bring it: what nobody works on any more is ended from within the cluster, servers and all."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.actions.release import champion_version, deploy, enter_stage, open_rollout, promote, rollout
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.package import FEATURES, SPEC, toy_package
from sluicegate.testing.s3 import s3_prefix
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring, wire
from sluicegate_demo.images import ROLES
from sluicegate_demo.installation import Installation

MODEL = "toy"
NOBODY = "http://127.0.0.1:9"
"""No Prometheus: nobody looks at this rollout."""
PATIENCE_S = 120.0
PLAN = """\
release:
  stages: [{weight: 50, bake: 1h, deadline: 2h}, {weight: 100}]
  gates: {p95_ms: 25, error_rate: {}}
  lease: 10m
  abandoned: 25s
serving: {servers: 1, most: 1, cpu: 0.05}
"""
"""The lease outlives this test: what takes the traffic back is the sweep."""


@pytest.fixture(scope="module")
def place(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A whole installation with our own Envoys."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        with s3_prefix("sweep") as url:
            namespace = f"sg-test-{uuid.uuid4().hex[:8]}"
            settings = Settings(
                profile="kubernetes",
                namespace=namespace,
                store_url=url,
                home=home,
                models=home / "models",
                image_serve=images["serve"],
                prometheus_url=NOBODY,
            )
            place = Installation(cluster, settings)
            try:
                place.make({role: images[role] for role in ROLES}, NOBODY)
                yield place
            finally:
                place.remove()


@pytest.fixture
def ports(place: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wiring:
    """Who works with it from outside, with the rights of the verbs."""
    folder = place.settings.models / MODEL
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(SPEC[: SPEC.index("release:")] + PLAN)
    (folder / "features.py").write_text(FEATURES)
    answers = place.addresses()
    del answers["gateway"]
    monkeypatch.setenv("KUBECONFIG", str(place.kubeconfig("sluicegate-release", tmp_path)))
    return wire(replace(place.settings, **answers))


def test_a_rollout_whose_dag_is_gone_is_taken_back_with_its_servers(place: Installation, ports: Wiring, tmp_path: Path) -> None:
    promote(ports, MODEL, deployed(ports, tmp_path, "1"), author="test")
    left = deployed(ports, tmp_path, "2")
    enter_stage(ports, MODEL, left, 0, author="test")
    route = ports.router.read(MODEL)
    assert route is not None
    assert (route.weight, servers(place)) == (50, ["toy-v1", "toy-v2"])
    wait_until(lambda: ports.journal.locks() == {}, PATIENCE_S)
    wait_until(lambda: servers(place) == ["toy-v1"], PATIENCE_S)
    wait_until(lambda: len(followed(ports, left)) == 4, PATIENCE_S)
    state, route = rollout(ports, MODEL, left), ports.router.read(MODEL)
    assert (state.outcome, state.reason, champion_version(ports, MODEL)) == (Outcome.REVERTED, "abandoned", "1")
    assert route is not None
    assert (route.champion.version, route.weight, route.mirror) == ("1", 0, 0)
    (ended,) = ports.journal.events(MODEL, left, kinds=(Kind.REVERTED,))
    assert ended.author == "sweep"
    log = place.cluster.kubectl("-n", place.namespace, "logs", "deployment/sluicegate-sweep").stdout
    told = [json.loads(line) for line in log.splitlines()]
    assert [line["holder"] for line in told if line.get("event") == "abandoned"] == [left]


def deployed(ports: Wiring, folder: Path, version: str) -> str:
    """A rollout of a version that the comparison released; its id. The server is there first: its start is silence too."""
    package = toy_package(folder / version).folder
    made = ports.registry.register(MODEL, package, {"train_key": version, "model_hash": version})
    ports.runtime.start(MODEL, made.version, ports.registry.package(MODEL, made.version))
    wait_until(lambda: any(s.ready for s in ports.runtime.status(MODEL) if s.target.version == made.version), PATIENCE_S)
    data = {"version": made.version, "verdict": "promote", "release": True, "champion": champion_version(ports, MODEL)}
    ports.journal.append(MODEL, "", Kind.REGISTERED, {**data, "predicted": None}, author="test")
    opened = open_rollout(ports, MODEL, made.version, author="test", run_id=version)
    return deploy(ports, MODEL, opened.rollout_id, author="test").rollout_id


def servers(place: Installation) -> list[str]:
    """Versions that have a Deployment."""
    chosen = ("get", "deployments", "-l", "sluicegate/role=server", "-o", "jsonpath={.items[*].metadata.name}")
    return sorted(place.cluster.kubectl("-n", place.namespace, *chosen).stdout.split())


def followed(ports: Wiring, rollout_id: str) -> tuple[str, ...]:
    return tuple(str(e.data["what"]) for e in ports.journal.events(MODEL, rollout_id, kinds=(Kind.FOLLOWED_UP,)))
