"""What an account may write it may not fill with anything: the admission policies, tried with the accounts' own tokens."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sluicegate import kube
from sluicegate.adapters.cluster_router.dialect import Dialect
from sluicegate.adapters.cluster_router.gateway_api import GatewayApi
from sluicegate.adapters.cluster_router.istio import Istio
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
    things = cluster.rendered(MANIFESTS / "overlays" / "small", name, MANIFESTS / "airflow")
    for router in ("envoy", "istio"):
        more = cluster.rendered(MANIFESTS / "base", name, MANIFESTS / "routers" / router)
        things += [thing for thing in more if thing["metadata"]["name"].endswith(f"-{router}")]
    kinds = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ResourceQuota", "LimitRange")
    rights = [thing for thing in things if thing["kind"] in kinds]
    policies = [_confined(thing, name) for thing in things if thing["kind"] in POLICIES]
    assert len(policies) == 12
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
def acting(cluster: Cluster, namespace: str, elsewhere: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cluster]:
    """By role; `chart` is Airflow's account in the namespace of Airflow itself."""
    folder, other = (tmp_path_factory.mktemp(name) for name in ("accounts", "elsewhere"))
    roles = ("airflow", "release", "keeper", "gateway")
    accounts = {role: cluster.acting_as(f"sluicegate-{role}", namespace, folder) for role in roles}
    return {**accounts, "chart": cluster.acting_as("sluicegate-airflow", elsewhere, other)}


@pytest.fixture(scope="module")
def elsewhere(cluster: Cluster, namespace: str, module_namespaces: Callable[[], str]) -> str:
    """A namespace in which Airflow lives, given its rights as the component `airflow` gives them to the namespace `airflow`."""
    other = module_namespaces()
    things = cluster.rendered(MANIFESTS / "overlays" / "small", namespace, MANIFESTS / "airflow")
    bindings = [thing for thing in things if thing["kind"] == "RoleBinding"]
    subjects = [subject for binding in bindings for subject in binding["subjects"] if subject.get("namespace") == "airflow"]
    assert [subject["name"] for subject in subjects] == ["sluicegate-airflow"] * 2
    for subject in subjects:
        subject["namespace"] = other
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sluicegate-airflow", "namespace": other}}
    cluster.apply([account, *bindings])
    return other


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
    labels = {"sluicegate/role": "server", "sluicegate/version": "1"}
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
    "a Secret under the name of a token": (
        {"volumes": [{"name": "kube-api-access-abcde", "projected": {"sources": [{"secret": OTHER}]}}]},
        "no Secret is mounted",
    ),
    "a Secret for a driver of volumes": (
        {"volumes": [{"name": "s", "csi": {"driver": "csi.example.org", "nodePublishSecretRef": OTHER}}]},
        "no Secret is mounted",
    ),
}
MAKERS: dict[str, Callable[..., dict[str, Any]]] = {"airflow": _pod, "release": _deployment}
MAKERS["chart"] = MAKERS["airflow"]
OWN = {"airflow": "sluicegate-work", "chart": "sluicegate-release", "release": "sluicegate-server"}
ALONE = {
    "airflow": "Airflow makes pods of the accounts sluicegate-work and sluicegate-release alone",
    "chart": "Airflow makes pods of the accounts sluicegate-work and sluicegate-release alone",
    "release": "a release makes servers, whose account is sluicegate-server",
}
CLOUD = {
    "name": "cloud-token",
    "projected": {"sources": [{"serviceAccountToken": {"audience": "cloud.example.org", "path": "t"}}]},
}
"""What the webhooks of clouds add to pods, so that they have the cloud role of their account."""


@pytest.mark.parametrize("role", MAKERS)
def test_who_makes_pods_makes_those_of_its_work(role: str, acting: dict[str, Cluster], namespace: str) -> None:
    _until_refused(acting[role], namespace, MAKERS[role]("sluicegate-keeper"), ALONE[role])
    volumes = [{"name": "a", "emptyDir": {}}, CLOUD]
    thing = MAKERS[role](OWN[role], container={"envFrom": [{"secretRef": {"name": "sluicegate"}}]}, volumes=volumes)
    assert _refused(acting[role], namespace, thing) == ""


@pytest.mark.parametrize(
    ("role", "account"),
    [("airflow", "keeper"), ("airflow", "server"), ("chart", "keeper"), ("release", "airflow"), ("release", "release")],
)
def test_a_pod_under_another_role_s_account_is_refused(
    role: str, account: str, acting: dict[str, Cluster], namespace: str
) -> None:
    _until_refused(acting[role], namespace, MAKERS[role](f"sluicegate-{account}"), ALONE[role])


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


def _deleted(cluster: Cluster, namespace: str, name: str) -> str:
    return cluster.kubectl("delete", "deployment", name, "-n", namespace, "--dry-run=server", check=False).stderr


def test_a_release_deletes_servers_and_no_other_deployment(cluster: Cluster, acting: dict[str, Cluster], namespace: str) -> None:
    for name, labels in (("somebody-s", {}), ("a-version-s", {"sluicegate/version": "1"})):
        made = _deployment("sluicegate-server")
        made["spec"]["replicas"] = 0
        cluster.apply([{**made, "metadata": {"name": name, "namespace": namespace, "labels": labels}}])
    _until_said(lambda: _deleted(acting["release"], namespace, "somebody-s"), "what belongs to versions")
    assert _deleted(acting["release"], namespace, "a-version-s") == ""


def _labelled(api_version: str, kind: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "lie", "labels": SERVERS}, "spec": spec}


SERVERS = {"sluicegate/role": "server", "sluicegate/version": "1"}
LIES = {
    "a policy for all": _labelled("networking.k8s.io/v1", "NetworkPolicy", podSelector={}, ingress=[{}]),
    "a policy for the keeper": _labelled(
        "networking.k8s.io/v1", "NetworkPolicy", podSelector={"matchLabels": {"sluicegate/role": "keeper"}}, ingress=[{}]
    ),
    "a policy for another version": _labelled(
        "networking.k8s.io/v1", "NetworkPolicy", podSelector={"matchLabels": {**SERVERS, "sluicegate/version": "2"}}
    ),
    "a Service of the gateway": _labelled("v1", "Service", selector={"sluicegate/role": "gateway"}, ports=[{"port": 80}]),
    "a Service of no pods": _labelled("v1", "Service", ports=[{"port": 80}]),
    "a budget of the keeper": _labelled(
        "policy/v1", "PodDisruptionBudget", minAvailable="100%", selector={"matchLabels": {"sluicegate/role": "keeper"}}
    ),
    "a Deployment of gateways": _labelled(
        "apps/v1",
        "Deployment",
        selector={"matchLabels": {"sluicegate/role": "gateway"}},
        template={"metadata": {"labels": {"sluicegate/role": "gateway"}}, "spec": _spec("sluicegate-server")},
    ),
}
"""What bears a version's label and is about other pods."""


@pytest.mark.parametrize("what", LIES)
def test_a_label_alone_makes_nothing_a_version_s(what: str, acting: dict[str, Cluster], namespace: str) -> None:
    _until_refused(acting["release"], namespace, LIES[what], "about the servers of the version that it is labelled with")


@pytest.mark.parametrize("part", ["keeper", "gateway", "sweep", "joiner", "mlflow"])
def test_a_release_scales_servers_and_no_other_part(part: str, acting: dict[str, Cluster], namespace: str) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"sluicegate-{part}"}
    scaler = _labelled("autoscaling/v2", "HorizontalPodAutoscaler", scaleTargetRef=target, maxReplicas=2)
    _until_refused(acting["release"], namespace, scaler, "a release scales servers and nothing else")


def test_the_parts_that_nobody_scales_are_all_that_there_are(cluster: Cluster) -> None:
    more = (MANIFESTS / "routers" / "envoy", MANIFESTS / "database")
    things = cluster.rendered(MANIFESTS / "overlays" / "small", "anywhere") + cluster.rendered(
        MANIFESTS / "base", "anywhere", *more
    )
    policy = (MANIFESTS / "policies" / "makers.yaml").read_text()
    [parts] = re.findall(r"\^sluicegate-\((.*)\)\$", policy)
    assert {f"sluicegate-{part}" for part in parts.split("|")} == {
        t["metadata"]["name"] for t in things if t["kind"] == "Deployment"
    }


def _target(version: str, namespace: str) -> Target:
    return Target(version, f"flights-v{version}.{namespace}.svc.cluster.local", 8080)


@dataclass(frozen=True)
class Routed:
    """A route that gives a candidate 25 %, as our router writes it for one kind of gateway."""

    dialect: Dialect
    route: Route
    namespace: str
    cluster: Cluster

    def make(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The object, on the API server."""
        kind = self.dialect.kind
        meta = {"name": name, "namespace": self.namespace}
        thing = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **body}
        self.cluster.apply([thing])
        return thing

    def changed(self, cluster: Cluster, body: Mapping[str, Any], name: str = "flights") -> str:
        """Why an account may not write this body; empty when it may."""
        what = ("patch", self.dialect.kind.plural, name, "-n", self.namespace, "--dry-run=server", "--type=merge")
        return cluster.kubectl(*what, "-p", json.dumps(body), check=False).stderr


@pytest.fixture(scope="module", params=["HTTPRoute", "VirtualService"])
def routed(request: pytest.FixtureRequest, cluster: Cluster, namespace: str) -> Routed:
    request.getfixturevalue("gateway_class" if request.param == "HTTPRoute" else "istio_schemas")
    kind = GatewayApi if request.param == "HTTPRoute" else Istio
    champion, candidate = _target("1", namespace), _target("2", namespace)
    route = Route("flights", champion, candidate, weight=25, mirror=0, salt="s", token=1, expires_at=1e10)
    made = Routed(kind("sluicegate", namespace, namespace), route, namespace, cluster)
    made.make("flights", made.dialect.body(route))
    return made


def _detached(dialect: Dialect, route: Route) -> dict[str, Any]:
    spec = dialect.body(route.cut())["spec"]
    return {"spec": {**dialect.gone()["spec"], **{key: spec[key] for key in ("rules", "http") if key in spec}}}


UNCUT: dict[str, tuple[Callable[[Dialect, Route], dict[str, Any]], str]] = {
    "more weight": (lambda dialect, route: dialect.body(replace(route, weight=50)), "a rule for some users"),
    "all weight": (lambda dialect, route: dialect.body(replace(route, weight=100)), "a rule for some users"),
    "copies": (lambda dialect, route: dialect.body(replace(route, weight=0, mirror=10)), "copies requests"),
    "the candidate as champion": (
        lambda dialect, route: dialect.body(replace(route.cut(), champion=route.candidate or route.champion)),
        "names another server",
    ),
    "nothing": (lambda dialect, _: dialect.gone(), "no rule for it"),
    "another gateway": (_detached, "taken off its gateway"),
}
"""What a keeper must not leave behind, and why."""


@pytest.mark.parametrize("what", UNCUT)
def test_a_keeper_that_does_more_than_cut_is_refused(what: str, routed: Routed, acting: dict[str, Cluster]) -> None:
    body, why = UNCUT[what]
    _until_said(lambda: routed.changed(acting["keeper"], body(routed.dialect, routed.route)), why)


def test_a_keeper_s_cut_is_taken(routed: Routed, acting: dict[str, Cluster]) -> None:
    assert routed.changed(acting["keeper"], routed.dialect.body(routed.route.cut())) == ""


def test_a_keeper_tames_a_route_that_somebody_else_wrote(routed: Routed, acting: dict[str, Cluster]) -> None:
    body, dialect = routed.dialect.body(routed.route), routed.dialect
    assert routed.changed(acting["keeper"], dialect.tame(body)) == ""
    rules = next(key for key in ("rules", "http") if key in body["spec"])
    [candidate] = [rule for rule in body["spec"][rules] if rule["name"].endswith("candidate")]
    hollow = routed.make("hollow", {"spec": {**body["spec"], rules: [candidate]}})
    assert dialect.tame(hollow) == dialect.gone()
    assert routed.changed(acting["keeper"], dialect.gone(), "hollow") == ""


def test_the_same_write_by_the_release_is_taken(routed: Routed, acting: dict[str, Cluster]) -> None:
    for body, _ in UNCUT.values():
        assert routed.changed(acting["release"], body(routed.dialect, routed.route)) == ""


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
