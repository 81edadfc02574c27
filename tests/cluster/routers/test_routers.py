"""Routes on a real API server, followed by real proxies: our own Envoys, and those of the Gateway API."""

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from sluicegate.domain.route import Route, is_candidate
from sluicegate.domain.route_table import bucket_header
from sluicegate.errors import StaleTokenError, UnavailableError
from sluicegate.kube import named
from sluicegate.ports.router import Router
from sluicegate.testing.cluster_gateway import PATIENCE_S, ClusterGateway, ready
from sluicegate.testing.router_contract import RouterContract
from sluicegate.testing.traffic import Answer, ask_one
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import wire

NORMAL_99_9 = 3.2905
"""Two-sided 99.9 % point."""


ONLY_GATEWAY_API = pytest.mark.parametrize("gateway", ["gateway-api"], indirect=True)
"""Our own Envoys have a guard each, and no keeper."""


class TestClusterRouter(RouterContract):
    @pytest.fixture(autouse=True)
    def _targets(self, gateway: ClusterGateway) -> None:
        self.champion, self.candidate = gateway.champion, gateway.candidate  # type: ignore[misc]


@pytest.fixture
def model() -> str:
    return f"m{uuid.uuid4().hex[:12]}"


def route(gateway: ClusterGateway, model: str, weight: int, *, token: int = 1, lease: float = 300.0, mirror: int = 0) -> Route:
    expires = time.time() + lease if weight else None
    return Route(model, gateway.champion, gateway.candidate, weight, mirror, f"r-{model}", token, expires)


class TestWhoIsServedByWhom:
    def test_twenty_thousand_users_at_a_quarter_are_those_of_the_hash_and_no_user_sees_both(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        router.apply(route(gateway, model, 25))
        users = [f"N{i}" for i in range(10_000)]
        served = gateway.served(model, users * 2, connections=16)
        assert {user for user, versions in served.items() if len(versions) > 1} == set()
        assert {user for user in users if served[user] == {"2"}} == {
            user for user in users if is_candidate(f"r-{model}", user, 25)
        }
        share = sum(versions == {"2"} for versions in served.values()) / len(users)
        assert abs(share - 0.25) <= NORMAL_99_9 * sqrt(0.25 * 0.75 / len(users))

    def test_growing_weight_takes_users_from_the_champion_alone(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        users, before = [f"N{i}" for i in range(400)], set[str]()
        for weight in (0, 5, 50, 100):
            router.apply(route(gateway, model, weight))
            served = gateway.served(model, users)
            now = {user for user in users if served[user] == {"2"}}
            assert before <= now
            assert now == {user for user in users if is_candidate(f"r-{model}", user, weight)}
            before = now

    def test_bucket_that_a_client_sends_changes_nothing(self, gateway: ClusterGateway, router: Router, model: str) -> None:
        router.apply(route(gateway, model, 50))
        late = next(f"N{i}" for i in range(1000) if not is_candidate(f"r-{model}", f"N{i}", 50))
        first = next(f"N{i}" for i in range(1000) if is_candidate(f"r-{model}", f"N{i}", 50))
        stolen = bucket_header(f"r-{model}", first)
        assert one(gateway, model, late, f"x-sluicegate-bucket: {stolen}").version == "1"
        assert one(gateway, model, None, f"x-sluicegate-bucket: {stolen}").version == "1"

    def test_mirror_copies_and_users_are_answered_by_the_champion(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        router.apply(route(gateway, model, 0, mirror=100))
        answer = one(gateway, model, "N1")
        assert (answer.version, answer.served_by) == ("1", "champion")
        assert "mirror" not in answer.body["headers"]["host"]

    def test_a_server_can_tell_a_copy_from_a_request_of_its_own(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        router.apply(route(gateway, model, 0, mirror=100))
        before = seen(gateway, "candidate")
        for number in range(10):
            one(gateway, model, f"N{number}")
        wait_until(lambda: seen(gateway, "candidate")["copies"] == before["copies"] + 10, PATIENCE_S)
        assert seen(gateway, "candidate")["answers"] == before["answers"]


class TestServersSee:
    def test_request_id_is_kept_and_the_start_is_in_microseconds(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        router.apply(route(gateway, model, 0))
        began = time.time()
        headers = one(gateway, model, "N1", "x-request-id: labels-join-by-me").body["headers"]
        assert headers["x-request-id"] == "labels-join-by-me"
        assert began - 60 <= int(headers["x-sluicegate-start"]) / 1e6 <= time.time() + 60


class TestNothingIsLost:
    def test_champion_that_is_deleted_and_started_again_costs_no_request(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        router.apply(route(gateway, model, 0))
        with gateway.load(model, [f"N{i}" for i in range(100)], rate=50) as load:
            wait_until(lambda: len(load.answers) > 20, PATIENCE_S)
            gateway.kubectl("delete", "pod", "-l", "app=champion", "--grace-period=1")
            gateway.kubectl("rollout", "status", "deployment/champion", "--timeout=60s")
            after = len(load.answers)
            wait_until(lambda: len(load.answers) > after + 20, PATIENCE_S)
        assert load.failures == []

    def test_shift_and_cut_under_load_cost_no_request(self, gateway: ClusterGateway, router: Router, model: str) -> None:
        router.apply(route(gateway, model, 0))
        with gateway.load(model, [f"N{i}" for i in range(300)], rate=100) as load:
            for weight in (5, 50, 100):
                router.apply(route(gateway, model, weight))
            router.apply(route(gateway, model, 100).cut())
            seen = len(load.answers)
            wait_until(lambda: len(load.answers) > seen + 20, PATIENCE_S)
        assert load.failures == []
        assert {answer.version for answer in load.answers[-10:]} == {"1"}


class TestLease:
    def test_weight_whose_watcher_is_gone_is_cut_when_its_lease_ends(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        given = route(gateway, model, 50, lease=4.0)
        router.apply(given)
        assert given.expires_at is not None
        with gateway.load(model, [f"N{i}" for i in range(100)], rate=50) as load:
            wait_until(lambda: router.read(model) == given.cut(), PATIENCE_S)
            seen = len(load.answers)
            wait_until(lambda: len(load.answers) > seen + 20, PATIENCE_S)
        last = max(answer.answered_at for answer in load.answers if answer.version == "2")
        assert given.expires_at - 1.0 <= last
        assert last <= given.expires_at + 10.0, "a machine that tests share; benchmarks/cluster_breach.py measures the second"
        assert load.failures == []

    def test_renewed_lease_is_not_cut(self, gateway: ClusterGateway, router: Router, model: str) -> None:
        given = route(gateway, model, 50, lease=3.0)
        router.apply(given)
        router.renew(model, 1, time.time() + 300)
        time.sleep(4.0)
        found = router.read(model)
        assert found is not None
        assert found.weight == 50


@ONLY_GATEWAY_API
class TestKeeper:
    def test_no_weight_is_given_while_no_keeper_is_ready(self, gateway: ClusterGateway, router: Router, model: str) -> None:
        with no_keeper(gateway), pytest.raises(UnavailableError, match="no weight is given while nobody would take it back"):
            router.apply(route(gateway, model, 5))
        router.apply(route(gateway, model, 5))

    def test_lease_that_ended_while_every_keeper_was_dead_is_cut_by_the_next_one(
        self, gateway: ClusterGateway, router: Router, model: str
    ) -> None:
        router.apply(route(gateway, model, 25))
        with no_keeper(gateway):
            given = route(gateway, model, 25, lease=2.0)
            router.renew(model, 1, given.expires_at or 0.0)
            time.sleep(3.0)
            assert router.read(model) == given
        wait_until(lambda: router.read(model) == given.cut(), PATIENCE_S)


@ONLY_GATEWAY_API
def test_object_that_somebody_has_damaged_gives_the_candidate_nothing(
    gateway: ClusterGateway, router: Router, model: str
) -> None:
    router.apply(route(gateway, model, 100))
    gateway.kubectl("annotate", "httproute", named(model, "route"), "sluicegate/route=broken", "--overwrite")
    user = "N1"
    wait_until(lambda: one(gateway, model, user).version == "1", PATIENCE_S)
    gateway.kubectl("delete", "httproute", named(model, "route"))


def test_two_writers_at_once_leave_the_route_of_the_newer(gateway: ClusterGateway, router: Router, model: str) -> None:
    def write(token: int) -> None:
        with suppress(StaleTokenError):
            router.apply(replace(route(gateway, model, 0), token=token, salt=f"r{token}"))

    with ThreadPoolExecutor(6) as writers:
        list(writers.map(write, [3, 6, 1, 5, 2, 4]))
    found = router.read(model)
    assert found is not None
    assert (found.token, found.salt) == (6, "r6")


def test_service_accounts_have_the_rights_that_routing_needs(
    gateway: ClusterGateway, router: Router, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acting(account: str) -> Router:
        as_account = gateway.cluster.acting_as(f"sluicegate-{account}", gateway.namespace, tmp_path)
        monkeypatch.setenv("KUBECONFIG", as_account.environment["KUBECONFIG"])
        found = wire(gateway.settings).router
        found.read(model)
        return found

    assert router.read(model) is None
    release, airflow = acting("release"), acting("airflow")
    release.apply(route(gateway, model, 5, mirror=20))
    airflow.renew(model, 1, time.time() + 300)
    airflow.apply(route(gateway, model, 5).cut())
    airflow.apply(route(gateway, model, 5))
    release.remove(model, 1)
    assert router.read(model) is None


def seen(gateway: ClusterGateway, server: str) -> dict[str, Any]:
    """What a stub has got."""
    address = gateway.kubectl("get", "service", server, "-o", "jsonpath={.spec.clusterIP}")
    with urllib.request.urlopen(f"http://{address}:8080/seen", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def one(gateway: ClusterGateway, model: str, user: str | None, *headers: str) -> Answer:
    return ask_one(gateway.port, model, user, headers=headers, host=gateway.host)


@contextmanager
def no_keeper(gateway: ClusterGateway) -> Iterator[None]:
    gateway.kubectl("scale", "deployment/sluicegate-keeper", "--replicas=0")
    gateway.kubectl("wait", "--for=delete", "pod", "-l", "sluicegate/role=keeper", "--timeout=60s")
    wait_until(
        lambda: not gateway.kubectl("get", "deployment", "sluicegate-keeper", "-o", "jsonpath={.status.readyReplicas}"),
        PATIENCE_S,
    )
    try:
        yield
    finally:
        gateway.kubectl("scale", "deployment/sluicegate-keeper", "--replicas=1")
        ready(gateway)
