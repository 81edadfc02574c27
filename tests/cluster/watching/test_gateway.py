"""The counters of our own Envoy, as a replica in a cluster tells them to Prometheus, and nothing else of its admin interface."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.cluster.watching.rig import PATIENT_S, Rig

from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.adapters.envoy_router.bootstrap import READABLE, counters_port
from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.adapters.promql_meter.queries import GATEWAY
from sluicegate.domain.route import Route
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.package import toy_row
from sluicegate.testing.traffic import ask
from sluicegate.testing.waiting import wait_until


@pytest.fixture
def settings(rig: Rig, tmp_path: Path) -> Iterator[Settings]:
    """A gateway that Prometheus scrapes."""
    made = Settings(home=tmp_path, profile="kubernetes", gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(made)
    with running_gateway(envoy_command(made), made.gateway_admin_port, tmp_path / "envoy.log"):
        address = f"127.0.0.1:{counters_port(made)}"
        rig.prometheus.scrape(GATEWAY, address, pod="envoy")
        yield replace(made, prometheus_url=rig.prometheus.url)
        rig.prometheus.forget(GATEWAY, address)


def test_gateway_counts_what_users_asked_and_what_a_retry_hid_from_them(rig: Rig, settings: Settings) -> None:
    meter = PromqlMeter(settings, FolderDataset(settings), PATIENT_S)
    champion, candidate = (rig.of(version)[0].server.target for version in "12")
    router, route = EnvoyRouter(settings), Route("toy", champion, candidate, 40, 0, "s", 1, time.time() + 600)
    router.apply(route)
    wait_until(lambda: meter.read(route, since=0.0).gateway is not None, 60.0)
    body = {key: value for key, value in toy_row(1).items() if key not in ("request_id", "tailnum")}
    failing = orjson.dumps(body | {"distance": 13})
    users = [f"N{number}" for number in range(200)]
    good = ask(settings.gateway_port, "toy", users, body=orjson.dumps(body | {"distance": 500.0}))
    bad = ask(settings.gateway_port, "toy", users, body=failing)
    assert {answer.status for answer in good} == {200}
    assert {answer.status for answer in bad} == {500}
    mine = sum(answer.version == "2" for answer in good)
    expected = (400 - 2 * mine, 200 - mine, 2 * mine, mine)

    def counted() -> tuple[int, ...]:
        gateway = meter.read(route, since=0.0).gateway
        return () if gateway is None else tuple(vars(gateway).values())[1:]

    wait_until(lambda: counted() == expected, 60.0)


def test_nothing_else_of_the_admin_interface_is_told(settings: Settings) -> None:
    for path in (*READABLE, "/quitquitquit", "/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{counters_port(settings)}{path}", timeout=10.0)
        refused.value.close()
        assert refused.value.code == 404
