"""What an account may write it may not fill with anything: the admission policies, tried with the accounts' own tokens."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sluicegate import kube
from sluicegate.adapters.cluster_router.gateway_api import GatewayApi
from sluicegate.adapters.deployment_runtime import manifests
from sluicegate.domain.order import Order
from sluicegate.domain.pod import job, manifest
from sluicegate.domain.route import Route, Target
from sluicegate.domain.servers import Serving
from sluicegate.errors import RefusedError
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import read_spec

MANIFESTS = PROJECT / "docker" / "kubernetes"
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, module_namespaces: Callable[[], str]) -> Iterator[str]:
    """Rights and policies of the overlay `small`; the policies under names of their own and for this namespace alone."""
    name = module_namespaces()
    things = cluster.rendered(MANIFESTS / "overlays" / "small", name)
    things += [
        t
        for t in cluster.rendered(MANIFESTS / "base", name, MANIFESTS / "routers" / "envoy")
        if t["metadata"]["name"].endswith("-envoy")
    ]
    kinds = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ResourceQuota", "LimitRange")
    rights = [thing for thing in things if thing["kind"] in kinds]
    policies = [_confined(thing, name) for thing in things if thing["kind"] in POLICIES]
    assert len(policies) == 10
    try:
        cluster.apply(rights + policies)
        yield name
    finally:
        for thing in policies:
            cluster.kubectl("delete", thing["kind"], thing["metadata"]["name"], "--ignore-not-found")


def _confined(thing: dict[str, Any], namespace: str) -> dict[str, Any]:
    mine = copy.deepcopy(thing)
    mine["metadata"] = {"name": f"{thing['metadata']['name']}-{namespace}"}
    spec = mine["spec"]
    if "policyName" in spec:
        spec["policyName"] += f"-{namespace}"
    else:
        spec["matchConstraints"]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return mine


@pytest.fixture(scope="module")
def acting(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cluster]:
    folder = tmp_path_factory.mktemp("accounts")
    return {
        role: cluster.acting_as(f"sluicegate-{role}", namespace, folder) for role in ("airflow", "release", "keeper", "gateway")
    }


def _refused(cluster: Cluster, namespace: str, thing: dict[str, Any], verb: str = "create") -> str:
    """Why the API server refuses the object; empty when it takes it. A new policy needs a moment: the first word may be an old one."""
    arguments = (verb, "-n", namespace, "--dry-run=server", "-f", "-")
    return cluster.kubectl(*arguments, given=json.dumps(thing), check=False).stderr


def _until_refused(cluster: Cluster, namespace: str, thing: dict[str, Any], why: str, verb: str = "create") -> None:
    _until_said(lambda: _refused(cluster, namespace, thing, verb), why)


def _until_said(tried: Callable[[], str], why: str) -> None:
    """Try until it is refused for this reason; what is tried changes nothing."""
    wait_until(lambda: why in tried(), 60, lambda: f"a refusal for '{why}', but it is: {tried() or 'taken'}", pause=0.5)


RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _spec(account: str, **more: Any) -> dict[str, Any]:
    container = {"name": "base", "image": "localhost/nothing:1", "securityContext": RESTRICTED, **more.pop("container", {})}
    return {"serviceAccountName": account, "containers": [container], **more}


def _pod(account: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": _spec(account, **more)}


def _deployment(account: str, **more: Any) -> dict[str, Any]:
    labels = {"sluicegate/version": "1"}
    template = {"metadata": {"labels": labels}, "spec": _spec(account, **more)}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "tried", "labels": labels}, "spec": spec}


OTHER = {"name": "sluicegate-database"}
MORE: dict[str, tuple[dict[str, Any], str]] = {
    "another Secret as variables": ({"container": {"envFrom": [{"secretRef": OTHER}]}}, "only the Secret sluicegate"),
    "a key of another Secret": (
        {"container": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {**OTHER, "key": "password"}}}]}},
        "only the Secret sluicegate",
    ),
    "another Secret before it starts": (
        {"initContainers": [{"name": "first", "image": "x", "securityContext": RESTRICTED, "envFrom": [{"secretRef": OTHER}]}]},
        "only the Secret sluicegate",
    ),
    "a Secret as files": ({"volumes": [{"name": "s", "secret": {"secretName": "sluicegate-database"}}]}, "no Secret is mounted"),
    "a Secret among other files": (
        {"volumes": [{"name": "s", "projected": {"sources": [{"secret": OTHER}]}}]},
        "no Secret is mounted",
    ),
}
MAKERS: dict[str, Callable[..., dict[str, Any]]] = {"airflow": _pod, "release": _deployment}
OWN = {"airflow": "sluicegate-work", "release": "sluicegate-server"}


@pytest.mark.parametrize("role", MAKERS)
def test_who_makes_pods_makes_those_of_its_work(role: str, acting: dict[str, Cluster], namespace: str) -> None:
    thing = MAKERS[role](
        OWN[role], container={"envFrom": [{"secretRef": {"name": "sluicegate"}}]}, volumes=[{"name": "a", "emptyDir": {}}]
    )
    _until_refused(acting[role], namespace, MAKERS[role]("sluicegate-keeper"), "sluicegate-")
    assert "denied" not in _refused(acting[role], namespace, thing)
    assert "orbidden" not in _refused(acting[role], namespace, thing)


@pytest.mark.parametrize(
    ("role", "account"), [("airflow", "keeper"), ("airflow", "server"), ("release", "airflow"), ("release", "release")]
)
def test_a_pod_under_another_role_s_account_is_refused(
    role: str, account: str, acting: dict[str, Cluster], namespace: str
) -> None:
    _until_refused(acting[role], namespace, MAKERS[role](f"sluicegate-{account}"), "sluicegate-")


@pytest.mark.parametrize("what", MORE)
@pytest.mark.parametrize("role", MAKERS)
def test_a_pod_that_reads_another_secret_is_refused(role: str, what: str, acting: dict[str, Cluster], namespace: str) -> None:
    more, why = MORE[what]
    _until_refused(acting[role], namespace, MAKERS[role](OWN[role], **more), why)


SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"SLUICEGATE_ROUTER": "envoy"}}
FOREIGN = {
    "the keeper": ("release", _deployment("sluicegate-server"), "what belongs to versions"),
    "a Service": (
        "release",
        {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}},
        "what belongs to versions",
    ),
    "the network": (
        "release",
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}, "ingress": [{}]}},
        "what belongs to versions",
    ),
    "the settings": (
        "gateway",
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"SLUICEGATE_ROUTER": "envoy"}},
        "routes are the ConfigMaps",
    ),
    "the settings, by Airflow": (
        "airflow",
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}},
        "routes are the ConfigMaps",
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_does_not_belong_to_a_rollout_is_left_alone(
    what: str, cluster: Cluster, acting: dict[str, Cluster], namespace: str
) -> None:
    role, thing, why = FOREIGN[what]
    foreign = {**thing, "metadata": {"name": "foreign"}}
    cluster.apply([{**foreign, "metadata": {"name": "foreign", "namespace": namespace}}])
    patch = {"metadata": {"labels": {"sluicegate/version": "1", "sluicegate/role": "gateway"}}}  # not even by making it ours
    version = foreign["apiVersion"]
    place = f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{namespace}/{PLURALS[foreign['kind']]}/foreign"
    client = acting[role].client()

    def tried() -> str:
        try:
            kube.request(client, "PATCH", place, patch, {"dryRun": "All"}, "application/merge-patch+json")
        except RefusedError as refusal:
            return str(refusal)
        return ""

    _until_said(tried, why)


PLURALS = {"Deployment": "deployments", "Service": "services", "NetworkPolicy": "networkpolicies", "ConfigMap": "configmaps"}


def _target(version: str, namespace: str) -> Target:
    return Target(version, f"flights-v{version}.{namespace}.svc.cluster.local", 8080)


@pytest.fixture(scope="module")
def route(cluster: Cluster, namespace: str, gateway_class: str) -> Route:
    """A route that gives a candidate 25 %, as our router writes it."""
    made = Route(
        "flights", _target("1", namespace), _target("2", namespace), weight=25, mirror=0, salt="s", token=1, expires_at=1e10
    )
    cluster.apply([_written(made, namespace)])
    return made


def _written(route: Route, namespace: str) -> dict[str, Any]:
    body = GatewayApi("sluicegate", namespace, namespace).body(route)
    meta = {"name": kube.named(route.model), "namespace": namespace}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, **body}


def _patched(cluster: Cluster, namespace: str, body: dict[str, Any]) -> str:
    arguments = ("patch", "httproute", "flights", "-n", namespace, "--dry-run=server", "--type=merge", "-p", json.dumps(body))
    return cluster.kubectl(*arguments, check=False).stderr


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"weight": 50}, "a rule for some users"),
        ({"weight": 100}, "a rule for some users"),
        ({"weight": 0, "mirror": 10}, "copies requests"),
        ({"weight": 0, "champion": "2"}, "names another server"),
    ],
)
def test_a_keeper_that_gives_a_candidate_anything_is_refused(
    change: dict[str, Any], why: str, route: Route, acting: dict[str, Cluster], namespace: str
) -> None:
    changed = {**vars(route), **change}
    if "champion" in change:
        changed["champion"] = _target(change["champion"], namespace)
    body = _written(Route(**changed), namespace)
    _until_said(lambda: _patched(acting["keeper"], namespace, {"spec": body["spec"]}), why)


def test_a_keeper_s_cut_is_taken(route: Route, acting: dict[str, Cluster], namespace: str) -> None:
    for calm in (_written(route.cut(), namespace)["spec"], GatewayApi("sluicegate", namespace, namespace).gone()["spec"]):
        assert _patched(acting["keeper"], namespace, {"spec": calm}) == ""


def test_the_same_write_by_the_release_is_taken(route: Route, acting: dict[str, Cluster], namespace: str) -> None:
    body = _written(Route(**{**vars(route), "weight": 50}), namespace)
    assert _patched(acting["release"], namespace, {"spec": body["spec"]}) == ""


def _settings(namespace: str) -> Settings:
    image = "registry.example/sluicegate@sha256:" + "a" * 64
    return Settings(profile="kubernetes", namespace=namespace, store_url="s3://bucket/prod", image_work=image, image_serve=image)


def test_the_pod_of_an_order_is_taken_from_airflow(acting: dict[str, Cluster], namespace: str) -> None:
    for order in (Order("train", "flights", {"seed": 1}), Order("release", "flights", {"verb": "open", "run_id": "r1"})):
        spec = read_spec(Settings(), "flights")
        pod = manifest(job(order, f"s3://bucket/prod/orders/{order.key}/order.json", spec), _settings(namespace))
        assert _refused(acting["airflow"], namespace, pod) == ""


def test_the_objects_of_a_version_are_taken_from_a_release(acting: dict[str, Cluster], namespace: str) -> None:
    version, settings = manifests.Version("flights", "3", "d" * 64), _settings(namespace)
    things = [
        manifests.deployment(version, Serving(), settings),
        *manifests.companions(version, settings),
        manifests.autoscaler(version, Serving(), settings, 1),
    ]
    options = ("--server-side", "--dry-run=server", "--field-manager=sluicegate")
    assert acting["release"].apply(things, *options) == ""
