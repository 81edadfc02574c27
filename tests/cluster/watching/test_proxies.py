"""Envoy Gateway's proxies, found by the shipped job although they are in another namespace than their Gateway and its routes."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cluster.watching.rig import PATIENCE_S, PATIENT_S

from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.domain.route import Route
from sluicegate.settings import PROJECT
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.cluster_gateway import ClusterGateway, gateway_api, ready
from sluicegate.testing.prometheus import running_prometheus
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import wire
from sluicegate_demo.prometheus import configuration

SHIPPED = PROJECT / "docker" / "kubernetes" / "watching" / "scrape.yml"
USERS = [f"N{number}" for number in range(200)]


@pytest.fixture
def gateway(cluster: Cluster, gateway_class: str, namespace: str, images: Images) -> Iterator[ClusterGateway]:
    with gateway_api(cluster, namespace, images) as gateway:
        ready(gateway)
        yield gateway


@pytest.fixture
def meter(gateway: ClusterGateway, prometheus_program: str, tmp_path: Path) -> Iterator[PromqlMeter]:
    found = configuration(SHIPPED.read_text(), gateway.namespace, Path(gateway.cluster.environment["KUBECONFIG"]), proxies=True)
    with running_prometheus(prometheus_program, tmp_path / "prometheus", found) as prometheus:
        settings = replace(gateway.settings, home=tmp_path, prometheus_url=prometheus.url)
        yield PromqlMeter(settings, FolderDataset(settings), PATIENT_S)


def test_each_version_is_counted_by_its_rule_and_goes_on_from_stage_to_stage(gateway: ClusterGateway, meter: PromqlMeter) -> None:
    router, champions, candidates = wire(gateway.settings).router, 0, 0
    alone = Route("toy", gateway.champion, token=1)
    shared = Route("toy", gateway.champion, gateway.candidate, 0, 0, "s", 1)
    for route in (alone, *(replace(shared, weight=weight, expires_at=time.time() + 600) for weight in (5, 50))):
        router.apply(route)
        taken = sum(versions == {"2"} for versions in gateway.served("toy", USERS).values())
        champions, candidates = champions + len(USERS) - taken, candidates + taken
        _wait_for(meter, route, (champions, candidates))
    assert candidates > 0


def _wait_for(meter: PromqlMeter, route: Route, expected: tuple[int, int]) -> None:
    """Until the requests of champion and candidate are these."""

    def counted() -> tuple[int, ...]:
        told = meter.read(route, since=0.0).gateway
        return () if told is None else (told.champion_requests, told.candidate_requests)

    wait_until(lambda: counted() == expected, PATIENCE_S, lambda: f"{expected}, but {counted()}")
