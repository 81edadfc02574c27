"""A Gateway that is there already, in a namespace of its own: installed as docs/kubernetes.md says it, used with our accounts' rights."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluicegate.domain.route import Route, is_candidate
from sluicegate.ports.router import Router
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.cluster_gateway import CARRIES, PATIENCE_S, ClusterGateway, ready, stubs, targets
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import wire

SMALL = PROJECT / "docker" / "kubernetes" / "overlays" / "small"
USERS = [f"N{number}" for number in range(200)]


def written(ours: str, theirs: str) -> tuple[dict[str, Any], str]:
    """What the docs want in a kustomization, and the commands, for these two namespaces."""
    text = (PROJECT / "docs" / "kubernetes.md").read_text().partition("**A Gateway of your own**")[2].partition("\n**")[0]
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
    first = next(number for number, line in enumerate(lines) if line.startswith("kubectl"))
    told = ["\n".join(part).replace("ingress", theirs) for part in (lines[:first], lines[first:])]
    return yaml.safe_load(told[0]), told[1].replace("sluicegate:", f"{ours}:")


def installed(cluster: Cluster, folder: Path, fragment: dict[str, Any], keeper: str) -> list[dict[str, Any]]:
    """The objects of `small` with the docs' additions."""
    folder.mkdir()
    name, _, tag = keeper.rpartition(":")
    images = [{"name": "sluicegate-keeper", "newName": name, "newTag": tag}]
    whole = {**fragment, "resources": [os.path.relpath(SMALL, folder.resolve())], "images": images}
    (folder / "kustomization.yaml").write_text(json.dumps(whole))
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", str(folder)).stdout))


def test_written_additions_leave_no_gateway_of_ours_and_every_setting(cluster: Cluster, tmp_path: Path) -> None:
    fragment, _ = written("sluicegate", "ingress")
    things = installed(cluster, tmp_path / "k", fragment, "keeper:1")
    kinds = {thing["kind"] for thing in things}
    assert not kinds & {"Gateway", "ClientTrafficPolicy", "BackendTrafficPolicy"}
    (settings,) = (t["data"] for t in things if (t["kind"], t["metadata"]["name"]) == ("ConfigMap", "sluicegate"))
    assert settings["SLUICEGATE_CLUSTER_GATEWAY"] == "public.ingress"
    assert settings.keys() > {"SLUICEGATE_ROUTER", "SLUICEGATE_PROMETHEUS_URL"}
    (edge,) = (thing for thing in things if thing["kind"] == "HTTPRoute")
    assert edge["spec"]["parentRefs"] == [{"name": "public", "namespace": "ingress"}]


def gateway_of_a_person(cluster: Cluster, namespace: str) -> tuple[str, int]:
    """A Gateway that takes routes of every namespace; where it listens."""
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    spec = {"gatewayClassName": "envoy", "listeners": [listener]}
    meta = {"name": "public", "namespace": namespace}
    cluster.apply([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": meta, "spec": spec}])
    it = ("-n", namespace, "gateway/public")
    cluster.kubectl("wait", "--for=condition=Programmed", f"--timeout={PATIENCE_S:g}s", *it)
    return cluster.kubectl("get", *it, "-o", "jsonpath={.status.addresses[0].value}").stdout, 80


def of_namespace(thing: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object in another namespace than that of the manifests."""
    subjects = {"subjects": [{**each, "namespace": namespace} for each in thing["subjects"]]} if "subjects" in thing else {}
    return {**thing, **subjects, "metadata": {**thing["metadata"], "namespace": namespace}}


@pytest.fixture
def gateway(
    cluster: Cluster, gateway_class: str, images: Images, module_namespaces: Callable[[], str], tmp_path: Path
) -> ClusterGateway:
    ours, theirs = module_namespaces(), module_namespaces()
    fragment, commands = written(ours, theirs)
    things = [t for t in installed(cluster, tmp_path / "k", fragment, images["keeper"]) if t["kind"] in CARRIES]
    kept = [t for t in things if t["kind"] != "Deployment" or t["metadata"]["name"] == "sluicegate-keeper"]
    cluster.apply([of_namespace(thing, ours) for thing in kept])
    subprocess.run(["bash", "-euc", commands], cwd=PROJECT, env=dict(cluster.environment), check=True)
    stubs(cluster, ours, images["keeper"])
    settings = Settings(profile="kubernetes", router="gateway-api", namespace=ours, cluster_gateway=f"public.{theirs}")
    gateway = ClusterGateway(cluster, settings, *targets(ours), *gateway_of_a_person(cluster, theirs))
    ready(gateway)
    return gateway


def test_accounts_route_through_it_and_nobody_who_knows_another_one_takes_a_route_off(
    gateway: ClusterGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def acting(account: str, settings: Settings) -> Iterator[Router]:
        as_account = gateway.cluster.acting_as(f"sluicegate-{account}", gateway.namespace, tmp_path)
        with monkeypatch.context() as patch:
            patch.setenv("KUBECONFIG", as_account.environment["KUBECONFIG"])
            yield wire(settings).router

    route = Route("toy", gateway.champion, gateway.candidate, 25, 0, "s", 1, time.time() + 300)
    with acting("release", gateway.settings) as release:
        release.apply(route)
    served = gateway.served("toy", USERS)
    assert {user for user in USERS if served[user] == {"2"}} == {user for user in USERS if is_candidate("s", user, 25)}
    with acting("release", replace(gateway.settings, cluster_gateway="")) as stray:
        stray.apply(route.cut())
    with acting("airflow", gateway.settings) as airflow:
        wait_until(lambda: airflow.read("toy") == route.cut(), PATIENCE_S, lambda: f"the cut, but {airflow.read('toy')}")
    assert set.union(*gateway.served("toy", USERS).values()) == {"1"}
