"""Servers under load and under blows: what the cluster does to them costs no request, and what is broken never gets one."""

import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.cluster.servers.place import Clients, Place

from sluicegate import kube
from sluicegate.adapters.deployment_runtime import DeploymentRuntime
from sluicegate.errors import UnavailableError
from sluicegate.serving import depot
from sluicegate.testing.package import FEATURES, toy_package, toy_row
from sluicegate.testing.runtime_contract import ready, server, with_wrong_golden_outputs
from sluicegate.testing.waiting import wait_until

MODEL, PATIENCE = "toy", 120.0
GREEDY = FEATURES.replace("    return", "    hoard = b'x' * 2**30 if row.get('stops') == 7 else b''\n    return")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package(tmp_path_factory.mktemp("toy"), features=GREEDY).folder


@pytest.fixture(scope="module")
def version_1(place: Place, package: Path) -> Iterator[None]:
    """Version 1 with one server, for all tests of this module; what else they start is stopped as well."""
    with place.as_release() as runtime:
        runtime.start(MODEL, "1", package)
    yield
    with place.as_release() as runtime:
        for status in runtime.status(MODEL):
            runtime.stop(MODEL, status.target.version)


@pytest.fixture
def started(runtime: DeploymentRuntime, version_1: None) -> DeploymentRuntime:
    wait_until(lambda: ready(server(runtime, MODEL)), PATIENCE)
    return runtime


def servers(runtime: DeploymentRuntime, version: str) -> int:
    found = server(runtime, MODEL, version)
    return 0 if found is None else found.servers


def told(runtime: DeploymentRuntime, version: str) -> str:
    found = server(runtime, MODEL, version)
    return "" if found is None else found.detail


def test_no_request_fails_while_all_servers_are_replaced(started: DeploymentRuntime, place: Place) -> None:
    old = place.pods(MODEL, "1")
    with Clients(place.address(MODEL, "1"), MODEL) as clients:
        wait_until(lambda: clients.answered["1"] > 500, PATIENCE)
        name = f"deployment/{kube.named(MODEL, 'v1')}"
        place.kubectl("rollout", "restart", name)
        place.kubectl("rollout", "status", name, "--timeout=120s")
        wait_until(lambda: not set(old) & set(place.kubectl("get", "pods", "-o", "name").replace("pod/", "").split()), PATIENCE)
        before = clients.answered["1"]
        wait_until(lambda: clients.answered["1"] > before + 500, PATIENCE)
    assert clients.answered["1"] >= 2000
    assert clients.failures == []


def test_only_server_is_not_evicted_and_of_two_one_is(started: DeploymentRuntime, place: Place) -> None:
    def evict(pod: str) -> None:
        path = f"/api/v1/namespaces/{place.namespace}/pods/{pod}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": place.namespace}}
        kube.request(place.administrator(), "POST", path, body)

    def evicted(pod: str) -> bool:
        try:
            evict(pod)
        except UnavailableError:
            return False
        return True

    wait_until(lambda: place.kubectl("get", "pdb", "-o", "jsonpath={.items[0].status.currentHealthy}") == "1", PATIENCE)
    (only,) = place.pods(MODEL, "1")
    with pytest.raises(UnavailableError, match="disruption budget"):
        evict(only)
    started.scale(MODEL, "1", 2)
    wait_until(lambda: servers(started, "1") == 2, PATIENCE)
    (second,) = (pod for pod in place.pods(MODEL, "1") if pod != only)  # the one that comes for the evicted is not ready yet
    wait_until(lambda: evicted(only), PATIENCE)
    with pytest.raises(UnavailableError, match="disruption budget"):
        evict(second)


def test_autoscaler_reads_what_the_servers_use(started: DeploymentRuntime, place: Place) -> None:
    active = "jsonpath={.status.conditions[?(@.type=='ScalingActive')].status}"
    wait_until(lambda: place.kubectl("get", "hpa", kube.named(MODEL, "v1"), "-o", active) == "True", PATIENCE)


def test_server_with_wrong_golden_outputs_never_gets_an_endpoint(
    runtime: DeploymentRuntime, place: Place, tmp_path: Path
) -> None:
    runtime.start(MODEL, "13", with_wrong_golden_outputs(toy_package(tmp_path).folder))
    seen = set()
    try:
        wait_until(lambda: "golden row 4" in told(runtime, "13"), PATIENCE)
        for _ in range(10):
            picked = "jsonpath={.items[*].endpoints[*].conditions.ready}"
            seen.add(
                place.kubectl(
                    "get", "endpointslices", "-l", f"kubernetes.io/service-name={kube.named(MODEL, 'v13')}", "-o", picked
                )
            )
            time.sleep(0.3)
    finally:
        runtime.stop(MODEL, "13")
    assert seen == {"false"}


def test_package_that_the_store_has_lost_is_named_as_the_reason(runtime: DeploymentRuntime, place: Place, tmp_path: Path) -> None:
    package = toy_package(tmp_path, golden=21).folder
    known = depot.send(package, place.settings.store_url)
    place.forget_package(known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depot, "send", lambda *_: known)
        runtime.start(MODEL, "14", package)
    try:
        wait_until(lambda: "deploy the version again" in told(runtime, "14"), PATIENCE)
    finally:
        runtime.stop(MODEL, "14")


def test_server_that_was_killed_at_its_memory_limit_comes_back(started: DeploymentRuntime, place: Place) -> None:
    before = place.pods(MODEL, "1")
    place.post(MODEL, "1", orjson.dumps(toy_row(1) | {"stops": 7}))
    reason = "jsonpath={.items[*].status.containerStatuses[?(@.name=='server')].lastState.terminated.reason}"
    wait_until(lambda: "OOMKilled" in place.kubectl("get", "pods", "-o", reason), PATIENCE)
    wait_until(lambda: place.post(MODEL, "1", orjson.dumps(toy_row(2))) == 200, PATIENCE)
    assert set(before) <= set(place.pods(MODEL, "1"))


def test_no_request_fails_while_traffic_moves_and_the_old_version_is_stopped_and_its_log_is_whole(
    started: DeploymentRuntime, place: Place, package: Path
) -> None:
    started.start(MODEL, "2", package)
    wait_until(lambda: ready(server(started, MODEL, "2")), PATIENCE)
    with Clients(place.address(MODEL, "1"), MODEL) as clients:
        wait_until(lambda: clients.answered["1"] > 1000, PATIENCE)
        clients.address = place.address(MODEL, "2")
        started.stop(MODEL, "1")
        wait_until(lambda: clients.answered["2"] > 1000 and not place.pods(MODEL, "1"), PATIENCE)
    assert clients.failures == []
    wait_until(lambda: place.logged(MODEL, "1", clients.name) == clients.answered["1"], PATIENCE)


def test_cluster_that_lets_no_pod_be_made_is_quoted(runtime: DeploymentRuntime, place: Place, tmp_path: Path) -> None:
    place.kubectl("create", "quota", "nothing", "--hard=pods=0")
    try:
        runtime.start(MODEL, "15", toy_package(tmp_path).folder)
        wait_until(lambda: "exceeded quota: nothing" in told(runtime, "15"), PATIENCE)
    finally:
        runtime.stop(MODEL, "15")
        place.kubectl("delete", "quota", "nothing")
