"""docker/kubernetes on a real API server: everything is accepted, what the namespace forbids is refused, what has a server starts."""

import json
import os
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluicegate.adapters.sql_journal import SqlJournal
from sluicegate.domain.rollout import Kind
from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT
from sluicegate.testing.cluster import Cluster, Images

MANIFESTS = PROJECT / "docker" / "kubernetes"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
ROUTERS = ("gateway-api", "envoy", "istio")
NOWHERE = {role: f"localhost/sluicegate-{role}:none" for role in ("work", "gateway", "keeper", "mlflow", "postgresql")}
PATIENCE = "240s"
PASSWORD = "of-this-test"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_accepted_whole(overlay: str, cluster: Cluster, namespace: str, gateway_class: str) -> None:
    things = cluster.rendered(MANIFESTS / "overlays" / overlay, namespace, images=NOWHERE)
    assert {thing["kind"] for thing in things} >= {"Namespace", "Role", "ResourceQuota", "LimitRange", "NetworkPolicy", "Gateway"}
    _accepted(cluster, things)


def test_the_documented_folder_is_an_installation(cluster: Cluster, tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "kubernetes.md").read_text()
    example = text.partition("Yours is a folder with a `kustomization.yaml`:\n\n")[2].partition("\n\n")[0]
    whole = yaml.safe_load(
        textwrap.dedent(example).replace("path/to/docker", os.path.relpath(PROJECT / "docker", tmp_path.resolve()))
    )
    whole["components"].append(os.path.relpath(MANIFESTS / "airflow", tmp_path.resolve()))
    (tmp_path / "kustomization.yaml").write_text(json.dumps(whole))
    named = [{"name": f"sluicegate-{role}", "newName": f"example.org/{role}", "newTag": "1"} for role in ("work", "keeper")]
    images = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "images": named}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "kustomization.yaml").write_text(json.dumps(images))
    things = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(tmp_path)).stdout))
    [settings] = [t["data"] for t in things if t["kind"] == "ConfigMap" and t["metadata"]["name"] == "sluicegate"]
    told = {"SLUICEGATE_ROUTER": "gateway-api", "SLUICEGATE_PROMETHEUS_URL": "http://prometheus.monitoring:9090"}
    assert settings.items() >= told.items()
    accounts = {t["metadata"]["name"]: t.get("imagePullSecrets") for t in things if t["kind"] == "ServiceAccount"}
    assert all(secrets == [{"name": "registry"}] for secrets in accounts.values()), accounts
    pods = [t["spec"]["template"]["spec"] for t in things if "template" in t.get("spec", {})]
    assert {c["image"] for pod in pods for c in pod["containers"]} == {"example.org/work:1", "example.org/keeper:1"}
    theirs = {
        s["namespace"] for t in things if t["kind"] == "RoleBinding" for s in t["subjects"] if s["name"] == "sluicegate-airflow"
    }
    assert theirs == {"sluicegate", "airflow"}


@pytest.mark.parametrize("router", ROUTERS)
def test_every_router_is_accepted_beside_the_base(
    router: str, request: pytest.FixtureRequest, cluster: Cluster, namespace: str, gateway_class: str
) -> None:
    if router == "istio":
        request.getfixturevalue("istio_schemas")
    more = (MANIFESTS / "routers" / router, MANIFESTS / "watching", MANIFESTS / "policies")
    _accepted(cluster, cluster.rendered(MANIFESTS / "base", namespace, *more, images=NOWHERE))


def _accepted(cluster: Cluster, things: list[dict[str, Any]]) -> None:
    """Every object, with its namespace as it is to be, and without a warning: of the pod standard, or of a field that will go."""
    cluster.apply([thing for thing in things if thing["kind"] == "Namespace"], "--server-side", "--force-conflicts")
    assert "Warning" not in cluster.apply(things, "--dry-run=server", "--server-side", "--force-conflicts")
    pods = [thing["spec"]["template"]["spec"] for thing in things if "template" in thing.get("spec", {})]
    images = [c["image"] for pod in pods for c in (*pod["containers"], *pod.get("initContainers", []))]
    assert images
    assert all(image.endswith(":none") for image in images), f"images that nobody could name otherwise: {images}"


@pytest.mark.parametrize(
    ("what", "spec"),
    [
        ("runAsNonRoot", {"securityContext": {"runAsUser": 0}}),
        ("hostPath", {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}),
        ("host namespaces", {"hostNetwork": True}),
        ("seccompProfile", {}),
    ],
)
def test_a_pod_that_wants_more_than_a_pod_of_ours_is_refused(
    what: str, spec: dict[str, Any], cluster: Cluster, module_namespaces: Callable[[], str], strict: str
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried"},
        "spec": {"containers": [{"name": "a", "image": "x"}], **spec},
    }
    refused = cluster.kubectl("create", "-n", strict, "-f", "-", "--dry-run=server", given=json.dumps(pod), check=False)
    assert "violates PodSecurity" in refused.stderr
    assert what in refused.stderr


@pytest.fixture(scope="module")
def strict(cluster: Cluster, module_namespaces: Callable[[], str]) -> str:
    """A namespace with what `base` says of it."""
    name = module_namespaces()
    cluster.apply(cluster.rendered(MANIFESTS / "base", name))
    return name


def test_a_container_that_says_nothing_gets_limits(cluster: Cluster, strict: str) -> None:
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {"containers": [{"name": "a", "image": "x", "securityContext": restricted}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "modest"}, "spec": spec}
    made = cluster.kubectl("create", "-n", strict, "-f", "-", "--dry-run=server", "-o", "json", given=json.dumps(pod))
    assert json.loads(made.stdout)["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "512Mi"},
        "requests": {"cpu": "100m", "memory": "256Mi"},
    }


def test_more_than_the_quota_is_refused(cluster: Cluster, strict: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "way-in"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}]},
    }
    with pytest.raises(UnavailableError, match=r"exceeded quota: sluicegate, requested: services\.nodeports=1"):
        cluster.kubectl("create", "-n", strict, "-f", "-", "--dry-run=server", given=json.dumps(service))


def test_the_database_and_the_registry_of_those_who_have_none_start(cluster: Cluster, namespace: str, images: Images) -> None:
    used = {role: images[role] for role in ("postgresql", "mlflow")}
    things = cluster.rendered(
        MANIFESTS / "base", namespace, MANIFESTS / "database", MANIFESTS / "database" / "trial", images=used
    )
    secrets = {
        "sluicegate-database": {"password": PASSWORD},
        "sluicegate": {"MLFLOW_ARTIFACTS_DESTINATION": "/tmp/files"},
    }
    given = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": n, "namespace": namespace}, "stringData": d}
        for n, d in secrets.items()
    ]
    cluster.apply([*things, *given])
    for part in ("statefulset/sluicegate-postgresql", "deployment/sluicegate-mlflow"):
        cluster.kubectl("rollout", "status", part, "-n", namespace, f"--timeout={PATIENCE}")
    mlflow = _address(cluster, namespace, "mlflow")
    assert {host: _answered(mlflow, host) for host in HOSTS} == HOSTS
    host = _address(cluster, namespace, "postgresql")
    journal = SqlJournal(f"postgresql+psycopg://sluicegate:{PASSWORD}@{host}/journal")
    lock = journal.acquire("flights", "r1")
    journal.append("flights", "r1", Kind.OPENED, {}, author="test", reason="a first event", token=lock.token)
    assert [event.kind for event in journal.events("flights")] == [Kind.OPENED]
    with pytest.raises(UnavailableError):
        SqlJournal(f"postgresql+psycopg://sluicegate:{PASSWORD[1:]}@{host}/journal").events("flights")


HOSTS = {
    "sluicegate-mlflow:5000": 200,
    "sluicegate-mlflow.sluicegate:5000": 200,
    "10.96.4.3:5000": 200,
    "172.16.0.9:5000": 200,
    "172.20.41.5:5000": 200,
    "172.31.0.1:5000": 200,
    "192.168.7.7:5000": 200,
    "172.15.0.1:5000": 403,
    "172.32.0.1:5000": 403,
    "rebound.example.org:5000": 403,
}
"""By which names a registry is asked: addresses of Services are private ones, whichever range a cluster has."""


def _answered(address: str, host: str) -> int:
    asked = urllib.request.Request(
        f"http://{address}:5000/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": host}
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def _address(cluster: Cluster, namespace: str, part: str) -> str:
    chosen = ("get", "pods", "-n", namespace, "-l", f"sluicegate/part={part}", "-o", "jsonpath={.items[0].status.podIP}")
    return cluster.kubectl(*chosen).stdout
