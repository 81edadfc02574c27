"""VirtualServices and EnvoyFilters on a real API server, under the schemas that Istio publishes. No Istio follows them here."""

from collections.abc import Callable
from functools import cache, partial

import pytest
import yaml

from sluicegate import kube
from sluicegate.adapters.cluster_router.istio import FILTER, ROUTE, Istio
from sluicegate.adapters.cluster_router.objects import KubeObjects
from sluicegate.adapters.cluster_router.router import ClusterRouter
from sluicegate.domain.route import Route, Target
from sluicegate.domain.route_text import SHOWN, seen
from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.route_objects import bucket_of, meets, virtual_service_rules, virtual_service_salt
from sluicegate.testing.router_contract import RouterContract

EDGE = PROJECT / "docker" / "kubernetes" / "routers" / "istio" / "edge.yaml"


@pytest.fixture(scope="module")
def router(cluster: Cluster, istio_schemas: None, module_namespaces: Callable[[], str]) -> ClusterRouter:
    """Over the API server; what a gateway would follow is read from the objects as Istio documents them."""
    namespace = module_namespaces()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", cluster.environment["KUBECONFIG"])
        api = cache(partial(kube.client, Settings(profile="kubernetes", namespace=namespace)))
        api()
    routes, filters = KubeObjects(api, ROUTE, namespace), KubeObjects(api, FILTER, namespace)

    def showing(model: str) -> list[Route | None]:
        thing, edge = routes.get(kube.named(model, "route")), filters.get(kube.named(model, "route"))
        rules = [] if thing is None else virtual_service_rules(thing)
        salt = None if edge is None else virtual_service_salt(edge)
        rule = meets(rules, f"/models/{model}/route", bucket_of(salt, "sluicegate"))
        return [None if rule is None else seen(rule.answer_headers[SHOWN])]

    return ClusterRouter(Istio("gate", namespace, "sg"), routes, filters, showing)


class TestIstioRouter(RouterContract):
    champion = Target("1", "champion.sg.svc.cluster.local", 8080)
    candidate = Target("2", "candidate.sg.svc.cluster.local", 8080)


def test_schema_refuses_what_is_no_virtual_service(router: ClusterRouter, cluster: Cluster) -> None:
    broken = {"apiVersion": ROUTE.api_version, "kind": ROUTE.kind, "metadata": {"name": "broken", "namespace": "default"}}
    wrong = {**broken, "spec": {"http": [{"match": [{"uri": {"exact": "/", "prefix": "/"}}]}]}}
    with pytest.raises(UnavailableError, match=r"oneOf|must validate one and only one schema"):
        cluster.apply([wrong], "--dry-run=server")


def test_edge_is_accepted(istio_schemas: None, cluster: Cluster) -> None:
    thing = yaml.safe_load(EDGE.read_text())
    cluster.apply([{**thing, "metadata": {**thing["metadata"], "namespace": "default"}}], "--dry-run=server", "--validate=strict")
