"""Each role's service account: what it may do is a list in the documentation, and everything else is tried and refused."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sluicegate import kube
from sluicegate.errors import RefusedError
from sluicegate.settings import PROJECT
from sluicegate.testing.cluster import Cluster

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

ROLES = ("airflow", "release", "keeper", "gateway", "server", "work", "joiner", "prometheus", "database")
RIGHTS = {"ServiceAccount", "Role", "RoleBinding"}


@dataclass(frozen=True)
class Account:
    """One role's service account, as a pod that has its token would act."""

    name: str
    namespace: str
    cluster: Cluster
    api: "ApiClient"

    def may(self) -> set[str]:
        """Lines of `kubectl auth can-i --list`: resource, names, verbs."""
        listed = self.cluster.kubectl("auth", "can-i", "--list", "--namespace", self.namespace).stdout.splitlines()[1:]
        return {re.sub(r"\s+", " ", line).strip() for line in listed}

    def tries(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request, tried out on the real API server without leaving anything behind."""
        place = path.replace("NS", self.namespace)
        kind = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        dry = {} if verb == "GET" else {"dryRun": "All"}
        return kube.request(self.api, verb, place, body, dry, kind)


ROUTERS = ("gateway-api", "envoy", "istio")
MANIFESTS = PROJECT / "docker" / "kubernetes"
Accounts = Callable[[str], dict[str, Account]]


@pytest.fixture(scope="module")
def accounts(
    cluster: Cluster, module_namespaces: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Account]]:
    """By router: the service accounts as the manifests make them, and one account that was given nothing."""

    @cache
    def made(router: str) -> dict[str, Account]:
        namespace = module_namespaces()
        more = (MANIFESTS / "routers" / router, MANIFESTS / "watching", MANIFESTS / "database")
        things = cluster.rendered(MANIFESTS / "base", namespace, *more)
        nobody = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sluicegate-nobody", "namespace": namespace}}
        cluster.apply([thing for thing in things if thing["kind"] in RIGHTS] + [nobody])
        folder = tmp_path_factory.mktemp("accounts")
        return {role: _account(cluster, role, namespace, folder) for role in (*ROLES, "nobody")}

    return made


def _account(cluster: Cluster, role: str, namespace: str, folder: Path) -> Account:
    acting = cluster.acting_as(f"sluicegate-{role}", namespace, folder)
    return Account(role, namespace, acting, acting.client())


@pytest.mark.parametrize("overlay", sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
def test_no_account_is_left_out(overlay: str, cluster: Cluster) -> None:
    things = cluster.rendered(MANIFESTS / "overlays" / overlay, "anywhere")
    ours = set(ROLES) - ({"database"} if overlay == "small" else set())
    accounts = {t["metadata"]["name"] for t in things if t["kind"] == "ServiceAccount"}
    assert accounts == {f"sluicegate-{role}" for role in ours}
    pods = [thing["spec"]["template"]["spec"] for thing in things if "template" in thing.get("spec", {})]
    assert {pod.get("serviceAccountName", "default") for pod in pods} <= accounts
    assert {t["kind"] for t in things} & {"ClusterRole", "ClusterRoleBinding"} == set()


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_the_documentation_lists_and_nothing_else(role: str, router: str, accounts: Accounts) -> None:
    ours = accounts(router)
    assert ours[role].may() - ours["nobody"].may() == _documented("With every router", role) | _documented(
        f"With `{router}` also", role
    )


def _documented(title: str, role: str) -> set[str]:
    """The block of this role under a title of the documentation; empty where it has none."""
    text = (PROJECT / "docs" / "kubernetes.md").read_text()
    section = text.partition(f"### {title}\n")[2].partition("\n#")[0]
    assert section, f"docs/kubernetes.md has no section '{title}'"
    block = re.search(rf"^`sluicegate-{role}`.*?\n\n((?:    .*\n?)+)", section, re.M)
    lines = block[1].splitlines()[1:] if block else []
    return {re.sub(r"\s+", " ", line).strip() for line in lines}


def _pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "base", "image": "localhost/nothing:1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": {"containers": [container], **spec}}


ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "tried"}, "spec": {}}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "tried"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [],
}
CORE, APPS, GATEWAYS = "/api/v1/namespaces/NS", "/apis/apps/v1/namespaces/NS", "/apis/gateway.networking.k8s.io/v1/namespaces/NS"
RBAC, NET = "/apis/rbac.authorization.k8s.io/v1/namespaces/NS", "/apis/networking.k8s.io/v1/namespaces/NS"
ALL = set(ROLES)

FORBIDDEN: dict[str, tuple[set[str], str, str, Mapping[str, Any] | None]] = {
    "read a secret": (ALL, "GET", f"{CORE}/secrets/sluicegate", None),
    "list the secrets": (ALL, "GET", f"{CORE}/secrets", None),
    "write a secret": (ALL, "PATCH", f"{CORE}/secrets/sluicegate", {}),
    "read the settings of others": (ALL, "GET", f"{CORE}/configmaps/sluicegate", None),
    "open a shell in a pod": (ALL, "GET", f"{CORE}/pods/tried/exec?command=sh", None),
    "attach to a pod": (ALL, "GET", f"{CORE}/pods/tried/attach", None),
    "tunnel into a pod": (ALL, "GET", f"{CORE}/pods/tried/portforward", None),
    "put a container into a running pod": (ALL, "PATCH", f"{CORE}/pods/tried/ephemeralcontainers", {}),
    "get a token of another account": (ALL, "POST", f"{CORE}/serviceaccounts/sluicegate-release/token", {"spec": {}}),
    "grant itself rights": (ALL, "POST", f"{RBAC}/rolebindings", BINDING),
    "widen its role": (ALL, "PATCH", f"{RBAC}/roles/sluicegate-keeper", {"rules": []}),
    "lift the quota": (ALL, "DELETE", f"{CORE}/resourcequotas/sluicegate", None),
    "weaken the pod standard": (ALL, "PATCH", CORE, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}),
    "delete the namespace": (ALL, "DELETE", CORE, None),
    "see the nodes": (ALL, "GET", "/api/v1/nodes", None),
    "see other namespaces": (ALL, "GET", "/api/v1/namespaces", None),
    "see pods elsewhere": (ALL, "GET", "/api/v1/namespaces/default/pods", None),
    "make pods elsewhere": (ALL, "POST", "/api/v1/namespaces/default/pods", _pod()),
    "route elsewhere": (ALL, "PATCH", "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/tried", {}),
    "make pods": (ALL - {"airflow"}, "POST", f"{CORE}/pods", _pod()),
    "delete pods": (ALL - {"airflow"}, "DELETE", f"{CORE}/pods/tried", None),
    "see pods": (ALL - {"airflow", "release", "prometheus"}, "GET", f"{CORE}/pods", None),
    "make deployments": (ALL - {"release"}, "PATCH", f"{APPS}/deployments/tried?fieldManager=x", {}),
    "stop a server": (ALL - {"release"}, "DELETE", f"{APPS}/deployments/tried", None),
    "scale a server": (ALL - {"release"}, "PATCH", f"{APPS}/deployments/tried/scale", {}),
    "open the network": (ALL, "DELETE", f"{NET}/networkpolicies/nobody", None),
    "change who may talk to whom": (ALL - {"release"}, "PATCH", f"{NET}/networkpolicies/nobody", {"spec": {"ingress": [{}]}}),
    "make routes": (ALL - {"release"}, "POST", f"{GATEWAYS}/httproutes", ROUTE),
    "delete routes": (ALL - {"release"}, "DELETE", f"{GATEWAYS}/httproutes/tried", None),
    "change routes": (ALL - {"release", "airflow", "keeper"}, "PATCH", f"{GATEWAYS}/httproutes/tried", {}),
    "change the gateway": (ALL, "PATCH", f"{GATEWAYS}/gateways/sluicegate", {}),
}
"""What → who must not, and how it is tried."""


@pytest.mark.parametrize(("what", "role"), [(what, role) for what in FORBIDDEN for role in ROLES if role in FORBIDDEN[what][0]])
def test_a_role_that_tries_what_it_has_no_business_with_is_refused(what: str, role: str, accounts: Accounts) -> None:
    _, verb, path, body = FORBIDDEN[what]
    account = accounts(ROUTERS[0])[role]
    with pytest.raises(
        RefusedError, match=rf'the cluster forbids .*system:serviceaccount:{account.namespace}:sluicegate-{role}\\?" cannot'
    ):
        account.tries(verb, path, body)


@pytest.mark.parametrize(
    ("role", "verb", "path", "body"),
    [
        ("airflow", "POST", f"{CORE}/pods", _pod()),
        ("airflow", "GET", f"{CORE}/pods", None),
        ("airflow", "GET", f"{APPS}/deployments", None),
        ("release", "GET", f"{APPS}/deployments", None),
        ("release", "GET", f"{CORE}/pods", None),
    ],
)
def test_the_same_way_of_trying_succeeds_with_what_a_role_is_there_for(
    role: str, verb: str, path: str, body: Mapping[str, Any] | None, accounts: Accounts
) -> None:
    assert accounts(ROUTERS[0])[role].tries(verb, path, body)["kind"] in ("Pod", "PodList", "DeploymentList")


@pytest.mark.parametrize("role", ["work", "server", "joiner", "database"])
def test_a_pod_without_business_with_the_cluster_gets_no_token(role: str, accounts: Accounts, cluster: Cluster) -> None:
    namespace = accounts(ROUTERS[0])[role].namespace
    made = cluster.kubectl(
        *("create", "--dry-run=server", "-n", namespace, "-o", "jsonpath={.spec.volumes}", "-f", "-"),
        given=json.dumps(_pod(serviceAccountName=f"sluicegate-{role}")),
    )
    assert "token" not in made.stdout
