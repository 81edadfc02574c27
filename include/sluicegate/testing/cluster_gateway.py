"""A gateway of the cluster for tests and benchmarks: the manifests of an overlay in a fresh namespace, two stub servers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sluicegate.domain.route import Target
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.traffic import Load, ask
from sluicegate.testing.waiting import wait_until

PATIENCE_S = 120.0
"""A pod starts in seconds, on a machine that does nothing else."""
KUBERNETES = PROJECT / "docker" / "kubernetes"
CARRIES = {
    *(
        "Gateway",
        "HTTPRoute",
        "ClientTrafficPolicy",
        "BackendTrafficPolicy",
        "EnvoyExtensionPolicy",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ConfigMap",
    ),
    *("Deployment", "Service", "PodDisruptionBudget"),
}


@dataclass(frozen=True)
class ClusterGateway:
    """What runs in the namespace."""

    cluster: Cluster
    settings: Settings
    champion: Target
    candidate: Target
    host: str
    port: int

    @property
    def namespace(self) -> str:
        return self.settings.namespace

    def kubectl(self, *arguments: str) -> str:
        """In this namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments).stdout

    def load(self, model: str, users: list[str], rate: float, connections: int = 8) -> Load:
        """Clients of the gateway."""
        return Load(self.port, model, users, rate=rate, connections=connections, host=self.host)

    def served(self, model: str, users: list[str], connections: int = 8) -> dict[str, set[str]]:
        """The versions that each user was answered by, one request each."""
        found: dict[str, set[str]] = {}
        for answer in ask(self.port, model, users, connections=connections, host=self.host):
            found.setdefault(answer.user, set()).add(answer.version)
        return found


@contextmanager
def gateway_api(cluster: Cluster, namespace: str, images: Mapping[str, str] | Images) -> Iterator[ClusterGateway]:
    """The Gateway of the manifests, its policies and its keeper, and two stub servers; all of it goes with the namespace."""
    cluster.apply(_things(cluster, namespace, "gateway-api", {"keeper": images["keeper"]}))
    stubs(cluster, namespace, images["keeper"])
    settings = Settings(
        profile="kubernetes", router="gateway-api", namespace=namespace, cluster_gateway=f"sluicegate.{namespace}"
    )
    yield ClusterGateway(cluster, settings, *targets(namespace), *_address(cluster, namespace))


@contextmanager
def our_envoys(cluster: Cluster, namespace: str, images: Mapping[str, str] | Images) -> Iterator[ClusterGateway]:
    """Two replicas of our own Envoy, each with its guard, and two stub servers; all of it goes with the namespace."""
    cluster.apply(_things(cluster, namespace, "envoy", {"gateway": images["gateway"]}))
    stubs(cluster, namespace, images["keeper"])
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/sluicegate-gateway", f"--timeout={PATIENCE_S:g}s")
    service = json.loads(cluster.kubectl("-n", namespace, "get", "service", "sluicegate-gateway", "-o", "json").stdout)
    settings = Settings(profile="kubernetes", router="envoy", namespace=namespace)
    yield ClusterGateway(
        cluster, settings, *targets(namespace), service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]
    )


def _things(cluster: Cluster, namespace: str, router: str, images: Mapping[str, str]) -> list[dict[str, Any]]:
    """What carries traffic: no quota, no network policies, no database."""
    things = cluster.rendered(KUBERNETES / "base", namespace, KUBERNETES / "routers" / router, images=images)
    for thing in things:
        if thing["kind"] == "ConfigMap":
            thing["data"]["SLUICEGATE_CLUSTER_GATEWAY"] = f"sluicegate.{namespace}"
    return [thing for thing in things if thing["kind"] in CARRIES]


def stubs(cluster: Cluster, namespace: str, image: str) -> None:
    """Servers `champion` of version 1 and `candidate` of version 2, and wait until they answer."""
    cluster.apply(
        [thing for name, version in (("champion", "1"), ("candidate", "2")) for thing in _stub(name, version, image, namespace)]
    )
    for name in ("champion", "candidate"):
        cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={PATIENCE_S:g}s")


def targets(namespace: str) -> tuple[Target, Target]:
    """Champion and candidate."""
    host = f"{namespace}.svc.cluster.local"
    return Target("1", f"champion.{host}", 8080), Target("2", f"candidate.{host}", 8080)


def ready(gateway: ClusterGateway) -> None:
    """Wait for whoever ends leases."""
    name = "sluicegate-gateway" if gateway.settings.router == "envoy" else "sluicegate-keeper"
    gateway.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={PATIENCE_S:g}s")


def _address(cluster: Cluster, namespace: str) -> tuple[str, int]:
    def programmed() -> dict[str, Any] | None:
        text = cluster.kubectl("-n", namespace, "get", "gateway", "sluicegate", "-o", "json").stdout
        found: dict[str, Any] = json.loads(text)
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}
        return found if conditions.get("Programmed") == "True" and found["status"].get("addresses") else None

    found = wait_until(programmed, PATIENCE_S)
    return found["status"]["addresses"][0]["value"], found["spec"]["listeners"][0]["port"]


def _stub(name: str, version: str, image: str, namespace: str) -> list[Mapping[str, Any]]:
    labels = {"app": name}
    meta = {"name": name, "namespace": namespace, "labels": labels}
    container = {
        "name": "stub",
        "image": image,
        "command": ["python", "-m", "sluicegate.testing.stub_server", "8080", version, "0.0.0.0"],  # noqa: S104
        "readinessProbe": {"httpGet": {"path": "/seen", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    pod = {"terminationGracePeriodSeconds": 0, "enableServiceLinks": False, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": [{"port": 8080}]}},
    ]
