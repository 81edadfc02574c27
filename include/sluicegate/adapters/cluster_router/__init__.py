"""Routers of a cluster: one object a model, written whole, that holds the route, its fencing token and its lease.

    router.py        the Router port: fence, write at the version that was read, see the gateway follow
    objects.py       the objects on the API server
    dialect.py       what a kind of gateway must be able to say
    gateway_api.py   HTTPRoute, and the policy that tells the edge the salt
    istio.py         VirtualService, and the EnvoyFilter that does
    envoys.py        ConfigMaps for the replicas of our own Envoy, whose guards end leases by themselves
    edge.lua         the edge: a request's place on the ring, as a header
    probe.py         what the proxies themselves say they follow

Nothing of ours stands beside a gateway of others, so leases are enforced by the keeper (`python -m sluicegate keeper`): no weight is given
while none is ready.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from sluicegate import kube
from sluicegate.adapters.cluster_router.dialect import Dialect
from sluicegate.adapters.cluster_router.envoys import Envoys
from sluicegate.adapters.cluster_router.gateway_api import POLICY, GatewayApi
from sluicegate.adapters.cluster_router.istio import Istio
from sluicegate.adapters.cluster_router.objects import KubeObjects
from sluicegate.adapters.cluster_router.probe import Address, Probe
from sluicegate.adapters.cluster_router.router import ClusterRouter
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

KEEPER = "sluicegate-keeper"
"""Deployment that enforces leases."""
EDGE = "sluicegate-edge"
"""Policy on a route without users: whether the gateway takes the edge's program at all."""
GATEWAY = "sluicegate-gateway"
"""Service of our own Envoys."""
SETTLE_S = 0.5
"""Between the route of a new model and its clusters in every worker of a proxy: a request in between is answered 503."""
REPLICAS_LAST_S = 2.0
"""How long a list of replicas is believed: a new one must not be left out for long."""

__all__ = ["KEEPER", "ClusterRouter", "envoys_router", "gateway_api_router", "istio_router"]


def gateway_api_router(settings: Settings) -> ClusterRouter:
    """Router over HTTPRoutes of the Gateway that the settings name."""
    name, namespace = settings.route_parent
    api = cache(partial(kube.client, settings))
    dialect, works = GatewayApi(name, namespace, settings.namespace), partial(_refuse_without_edge, api, settings.namespace)
    return _router(settings, api, dialect, partial(_gateway_addresses, api, name, namespace), works)


def istio_router(settings: Settings) -> ClusterRouter:
    """Router over VirtualServices of the gateway that the settings name; a Service of the same name stands before its proxies."""
    name, namespace = settings.route_parent
    api = cache(partial(kube.client, settings))
    return _router(
        settings, api, Istio(name, namespace, settings.namespace), lambda: [(f"{name}.{namespace}.svc.cluster.local", 80)]
    )


def envoys_router(settings: Settings) -> ClusterRouter:
    """Router over the replicas of our own Envoy. Each one that is ready has a guard that looks."""
    api = cache(partial(kube.client, settings))
    dialect = Envoys(settings.namespace)
    objects = KubeObjects(api, dialect.kind, settings.namespace)
    probe = Probe(partial(_replicas, api, settings.namespace), lasts=REPLICAS_LAST_S, looks=1)
    return ClusterRouter(dialect, objects, objects, probe.routes)


def _router(
    settings: Settings,
    api: "Callable[[], ApiClient]",
    dialect: Dialect,
    addresses: Callable[[], list[Address]],
    edge_works: Callable[[], None] = lambda: None,
) -> ClusterRouter:
    objects = KubeObjects(api, dialect.kind, settings.namespace)
    edges = KubeObjects(api, dialect.edge_kind or dialect.kind, settings.namespace)
    kept = partial(_refuse_unkept, api, settings.namespace)
    return ClusterRouter(dialect, objects, edges, Probe(addresses).routes, kept=kept, edge_works=edge_works, settle=SETTLE_S)


def _gateway_addresses(api: "Callable[[], ApiClient]", name: str, namespace: str) -> list[Address]:
    """Address and port of the Gateway's first plain listener, as its controller reports them."""
    gateway = kube.read(api(), "gateway.networking.k8s.io/v1", "Gateway", namespace, name) or {}
    addresses = gateway.get("status", {}).get("addresses", [])
    ports = [listener["port"] for listener in gateway.get("spec", {}).get("listeners", []) if listener["protocol"] == "HTTP"]
    if not addresses or not ports:
        raise UnavailableError(
            f"Gateway '{name}' in namespace '{namespace}' has no address or no HTTP listener: create it, and look at its status"
        )
    return [(addresses[0]["value"], ports[0])]


def _replicas(api: "Callable[[], ApiClient]", namespace: str) -> list[Address]:
    """Address and port of every replica that takes requests."""
    slices = kube.listed(api(), "discovery.k8s.io/v1", "EndpointSlice", namespace, {"kubernetes.io/service-name": GATEWAY})
    found = [
        (endpoint["addresses"][0], port["port"])
        for part in slices
        for port in part.get("ports") or []
        for endpoint in part.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready") and port.get("name") == "http"
    ]
    if not found:
        raise UnavailableError(f"no replica of Service '{GATEWAY}' in namespace '{namespace}' is ready: look at its pods")
    return found


def _refuse_unkept(api: "Callable[[], ApiClient]", namespace: str) -> None:
    keeper = kube.read(api(), "apps/v1", "Deployment", namespace, KEEPER) or {}
    if not keeper.get("status", {}).get("readyReplicas"):
        raise UnavailableError(
            f"no weight is given while nobody would take it back: Deployment '{KEEPER}' in '{namespace}' is not ready"
        )


def _refuse_without_edge(api: "Callable[[], ApiClient]", namespace: str) -> None:
    """Envoy Gateway answers 500 on a route whose policy it refuses, so one without users is tried first."""
    policy = kube.read(api(), POLICY.api_version, POLICY.kind, namespace, EDGE) or {}
    told = [each for ancestor in policy.get("status", {}).get("ancestors", []) for each in ancestor["conditions"]]
    if {each["status"] for each in told if each["type"] == "Accepted"} != {"True"}:
        why = "; ".join(each["message"] for each in told) or "it has no status"
        raise UnavailableError(
            f"the gateway does not take {POLICY.kind} '{EDGE}' in '{namespace}' ({why}): apply docker/kubernetes/routers/gateway-api, "
            "and allow Lua in the configuration of Envoy Gateway, extensionApis: {enableLua: true}"
        )
