"""Pods of a real cluster, found by Kubernetes discovery with the shipped configuration and rights, paired by the shipped joiner."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import yaml
from tests.cluster.watching.rig import FEATURES, PATIENT_S, grown

from sluicegate import kube
from sluicegate.adapters.deployment_runtime import DeploymentRuntime
from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.domain.evidence import Reading
from sluicegate.domain.route import Route
from sluicegate.domain.servers import Serving
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.package import toy_package, toy_row
from sluicegate.testing.prometheus import RunningPrometheus, running_prometheus
from sluicegate.testing.s3 import s3_prefix
from sluicegate.testing.waiting import wait_until

MANIFESTS = PROJECT / "docker" / "kubernetes"
HERE = "10.99.0.1"
"""This machine as pods see it."""
STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
PATIENCE_S = 180.0


@dataclass
class Pods:
    """Two servers of the champion and one of the candidate, the joiner, and a Prometheus that finds them."""

    cluster: Cluster
    settings: Settings
    route: Route

    @property
    def meter(self) -> PromqlMeter:
        return PromqlMeter(self.settings, FolderDataset(self.settings), PATIENT_S)

    def read(self) -> Reading:
        return self.meter.read(self.route, since=0.0)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("-n", self.settings.namespace, *arguments).stdout

    def champions(self) -> list[str]:
        chosen = "sluicegate/role=server,sluicegate/version=1"
        return self.kubectl("get", "pods", "-l", chosen, "-o", "jsonpath={.items[*].metadata.name}").split()

    def serve(self, requests: int) -> None:
        """Users and copies through the Services, a connection each, so that all replicas get some."""
        names = (kube.named("toy", f"v{version}") for version in "12")
        champion, candidate = (self.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}") for name in names)
        for number in range(requests):
            row = toy_row(number) | {"request_id": f"{uuid4()}", "distance": 500.0}
            self._ask(champion, row, {})
            self._ask(candidate, row, {"host": "gateway-shadow"})
            self._ask(candidate, row | {"request_id": f"{uuid4()}"}, {})

    def _ask(self, address: str, row: dict[str, Any], headers: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(address, 8080, timeout=30.0)
        connection.request("POST", "/models/toy/predict", orjson.dumps(row), headers)
        assert connection.getresponse().status == 200
        connection.close()

    def until(self, wanted: Callable[[Reading], object]) -> Reading:
        def asked() -> Reading | None:
            reading = self.read()
            return reading if wanted(reading) else None

        return wait_until(asked, PATIENCE_S, lambda: f"the last reading lacks {self.read().missing}")


@pytest.fixture
def prometheus(cluster: Cluster, namespace: str, prometheus_program: str, tmp_path: Path) -> Iterator[RunningPrometheus]:
    """The shipped scrape configuration, with the rights that are shipped for it."""
    things = cluster.rendered(MANIFESTS / "overlays" / "small", namespace)
    cluster.apply([thing for thing in things if thing["kind"] in ("ServiceAccount", "Role", "RoleBinding")])
    acting = cluster.acting_as("sluicegate-prometheus", namespace, tmp_path)
    shipped = yaml.safe_load((MANIFESTS / "watching" / "scrape.yml").read_text())
    for job in shipped["scrape_configs"]:
        (found,) = job["kubernetes_sd_configs"]
        job["kubernetes_sd_configs"] = [
            {**found, "namespaces": {"names": [namespace]}, "kubeconfig_file": acting.environment["KUBECONFIG"]}
        ]
    with running_prometheus(prometheus_program, tmp_path / "prometheus", shipped, HERE) as running:
        yield running


@pytest.fixture
def pods(cluster: Cluster, namespace: str, images: Images, prometheus: RunningPrometheus, tmp_path: Path) -> Iterator[Pods]:
    package = toy_package(tmp_path, features=FEATURES).folder
    opened = {key: cluster.environment[key] for key in STORE_KEYS if key in cluster.environment}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sluicegate", "namespace": namespace},
        "stringData": opened,
    }
    where = {"SLUICEGATE_PROMETHEUS_URL": prometheus.url}
    told = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sluicegate", "namespace": namespace}, "data": where}
    things = cluster.rendered(MANIFESTS / "overlays" / "small", namespace, images={"work": images["work"]})
    joiner = [thing for thing in things if thing["metadata"]["name"] in ("joiner", "sluicegate-joiner")]
    cluster.apply([secret, told, *joiner])
    with s3_prefix("watching") as url:
        settings = Settings(
            profile="kubernetes",
            router="istio",
            home=tmp_path,
            namespace=namespace,
            store_url=url,
            image_serve=images["serve"],
            prometheus_url=prometheus.url,
        )
        runtime = DeploymentRuntime(settings, lambda _: Serving(servers=1, most=2, cpu="50m", memory="384Mi"))
        champion, candidate = (runtime.start("toy", version, package) for version in "12")
        runtime.scale("toy", "1", 2)
        yield Pods(cluster, settings, Route("toy", champion, candidate, 0, 100))
        for version in "12":
            runtime.stop("toy", version)


def test_replicas_are_found_summed_and_paired_and_one_that_goes_is_a_reset(pods: Pods) -> None:
    before = pods.until(lambda r: not r.missing and len(pods.champions()) == 2)
    pods.serve(30)
    after = pods.until(lambda r: not r.missing and grown(before, r) == (30, 30, 30, 30))
    assert after.champion is not None
    assert after.champion.memory_bytes is not None
    assert sum(after.pairs.difference_square_sum) == 0.0  # both serve the same package

    gone = pods.champions()[0]
    pods.kubectl("delete", "pod", gone, "--wait=false")
    pods.until(lambda r: not r.missing and r.champion.started_at > after.champion.started_at)
    reset = pods.until(lambda r: not r.missing and gone not in pods.champions())
    assert reset.candidate.started_at == after.candidate.started_at
    pods.serve(10)
    pods.until(lambda r: not r.missing and grown(reset, r) == (10, 10, 10, 10))
