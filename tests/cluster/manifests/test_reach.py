"""Who must reach whom, and who must not: the network policies of every kind of installation against what the code does.

The cluster of the tests stores network policies and enforces none, so they are evaluated here, as both kinds of plugins read them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from tests.cluster.manifests.reach import End, Network

from sluicegate.adapters.deployment_runtime import manifests
from sluicegate.adapters.deployment_runtime.manifests import PORT, PULSE_PORT
from sluicegate.domain.order import Order
from sluicegate.domain.pod import job, manifest
from sluicegate.domain.servers import Serving
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.wiring import read_spec

KUBERNETES = PROJECT / "docker" / "kubernetes"
SPACE = "somewhere"
IMAGE = "registry.example/sluicegate@sha256:" + "a" * 64
SETTINGS = Settings(profile="kubernetes", namespace=SPACE, store_url="s3://bucket/prod", image_work=IMAGE, image_serve=IMAGE)
DATABASE = {"postgresql", "mlflow"}
ALWAYS = {"sweep", "joiner"}
WORLDS: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "small": ("overlays/small", (), {"keeper"}),
    "own-database": ("overlays/own-database", (), {"keeper", *DATABASE}),
    "envoy": ("base", ("routers/envoy", "sweep", "watching", "database"), {"gateway", *DATABASE}),
    "istio": ("base", ("routers/istio", "sweep", "watching"), {"keeper"}),
}
"""An installation: the folder, more components, and what runs there besides what always does."""

OUTSIDE = {
    "airflow": End(namespace="airflow", marks={"sluicegate/airflow": "true"}),
    "prometheus": End(namespace="monitoring", marks={"sluicegate/watching": "true"}),
    "proxies": End(namespace="envoy-gateway-system", marks={"sluicegate/clients": "true"}),
    "strangers": End({"sluicegate/role": "release", "app.kubernetes.io/part-of": "sluicegate"}, "others"),
    "nobody": End(namespace=SPACE),
    "store": End(address="203.0.113.7"),
    "store in a pod": End({"app": "minio"}, "storage"),
    "API server": End(address="198.51.100.2"),
    "credentials": End(address="169.254.169.254"),
    "credentials, IPv6": End(address="fd00:ec2::254"),
    "internet": End(address="192.0.2.99"),
}
"""`strangers` bear our labels in a namespace that nobody marked; `nobody` is in our namespace and bears none."""

MUST = [
    # an order's pod: results and packages, the journal, the registry
    ("work", "store", 443),
    ("work", "store in a pod", 9000),
    ("work", "postgresql", 5432),
    ("work", "mlflow", 5000),
    # verbs in pods, and the sweep that does the same: they write objects, and see each replica of the gateway and the counters follow
    *((who, "postgresql", 5432) for who in ("release", "sweep")),
    *((who, "mlflow", 5000) for who in ("release", "sweep")),
    *((who, "API server", 443) for who in ("release", "sweep", "keeper", "gateway")),
    *((who, "gateway", 8080) for who in ("release", "sweep")),
    *((who, "prometheus", 9090) for who in ("release", "sweep", "joiner")),
    *((who, "store", 443) for who in ("release", "sweep", "mlflow")),
    *((who, "store in a pod", 9000) for who in ("release", "sweep", "mlflow", "server")),
    # triggers of Airflow: gates read the gateway, write the journal
    ("airflow", "postgresql", 5432),
    ("airflow", "mlflow", 5000),
    ("airflow", "gateway", 8080),
    # requests
    ("proxies", "gateway", 8080),
    ("proxies", "server", PORT),
    ("gateway", "server", PORT),
    # counters
    ("prometheus", "server", PULSE_PORT),
    ("prometheus", "server", PORT),
    ("prometheus", "gateway", 8184),
    ("prometheus", "joiner", 8081),
    ("joiner", "server", PULSE_PORT),
    # what is fetched before a server starts, and its log
    ("server", "store", 443),
    ("mlflow", "postgresql", 5432),
]

OURS = ("work", "release", "sweep", "keeper", "gateway", "server", "joiner", *sorted(DATABASE))
MUST_NOT = [
    *((who, whose, 80) for who in OURS for whose in ("credentials", "credentials, IPv6")),
    *(
        (who, whom, port)
        for who in ("strangers", "nobody", "internet")
        for whom in OURS
        for port in (5000, 5432, 8080, 8081, 8184)
    ),
    *(("nobody", whom, 443) for whom in ("store", "API server", "internet")),
    *(
        (who, whom, port)
        for who in ("server", "joiner", "keeper", "gateway")
        for whom, port in (("postgresql", 5432), ("mlflow", 5000))
    ),
    *((who, whom, port) for who in ("proxies", "prometheus") for whom, port in (("postgresql", 5432), ("mlflow", 5000))),
    *((who, whom, 443) for who in ("joiner", "postgresql") for whom in ("store", "API server", "internet")),
    # users must not ask for what others asked, nor for counters
    ("proxies", "server", PULSE_PORT),
    ("proxies", "joiner", 8081),
    ("proxies", "gateway", 8184),
    ("airflow", "server", PORT),
    ("airflow", "server", PULSE_PORT),
    ("airflow", "gateway", 8184),
]


@dataclass(frozen=True)
class World:
    """The ends of one installation, and its policies as each kind of plugin reads them."""

    ends: dict[str, End]
    readings: tuple[Network, Network]


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Callable[[str], World]:
    return cache(lambda name: _world(cluster, name))


def _world(cluster: Cluster, name: str) -> World:
    folder, components, _ = WORLDS[name]
    things = cluster.rendered(KUBERNETES / folder, SPACE, *(KUBERNETES / part for part in components))
    templates = [thing["spec"]["template"]["metadata"]["labels"] for thing in things if "template" in thing.get("spec", {})]
    ours = {labels.get("sluicegate/role") or labels["sluicegate/part"]: labels for labels in templates}
    policies = [thing for thing in things if thing["kind"] == "NetworkPolicy"]
    version = manifests.Version("flights", "3", "d" * 64)
    policies.append(manifests.policy(version, SETTINGS))
    server = manifests.deployment(version, Serving(), SETTINGS)["spec"]["template"]["metadata"]["labels"]
    pods = {**ours, "server": server, "work": _order("train"), "release": _order("release", verb="open", run_id="r1")}
    ends = {**OUTSIDE, **{who: End(labels, SPACE) for who, labels in pods.items()}}
    return World(ends, (Network(policies, blocks_hold_pods=True), Network(policies, blocks_hold_pods=False)))


def _order(action: str, **inputs: Any) -> dict[str, str]:
    order = Order(action, "flights", inputs)
    labels: dict[str, str] = manifest(job(order, "s3://bucket/o.json", read_spec(Settings(), "flights")), SETTINGS)["metadata"][
        "labels"
    ]
    return labels


@pytest.mark.parametrize("name", WORLDS)
def test_an_installation_has_the_pods_of_its_table(name: str, world: Callable[[str], World]) -> None:
    assert world(name).ends.keys() - OUTSIDE.keys() == {"work", "release", "server", *ALWAYS, *WORLDS[name][2]}


def test_every_line_of_the_tables_is_about_an_installation() -> None:
    ends = [{"work", "release", "server", *ALWAYS, *more, *OUTSIDE} for _, _, more in WORLDS.values()]
    assert [line for line in (*MUST, *MUST_NOT) if not any({line[0], line[1]} <= each for each in ends)] == []


@pytest.mark.parametrize("name", WORLDS)
def test_who_must_reach_whom_does_with_every_plugin(name: str, world: Callable[[str], World]) -> None:
    ends, readings = world(name).ends, world(name).readings
    there = [line for line in MUST if {line[0], line[1]} <= ends.keys()]
    assert [line for line in there if not all(each.admits(ends[line[0]], ends[line[1]], line[2]) for each in readings)] == []


@pytest.mark.parametrize("name", WORLDS)
def test_everybody_may_ask_for_names(name: str, world: Callable[[str], World]) -> None:
    ends, names = world(name).ends, End({"k8s-app": "kube-dns"}, "kube-system")
    asked = [(who, protocol) for who in ends.keys() - OUTSIDE.keys() for protocol in ("UDP", "TCP")]
    for network in world(name).readings:
        assert [each for each in asked if not network.admits(ends[each[0]], names, 53, each[1])] == []


@pytest.mark.parametrize("name", WORLDS)
def test_who_must_not_reach_whom_does_not_with_any_plugin(name: str, world: Callable[[str], World]) -> None:
    ends, readings = world(name).ends, world(name).readings
    there = [line for line in MUST_NOT if {line[0], line[1]} <= ends.keys()]
    assert [line for line in there if any(each.admits(ends[line[0]], ends[line[1]], line[2]) for each in readings)] == []
