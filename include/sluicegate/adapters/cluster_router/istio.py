"""From a route to a VirtualService and the EnvoyFilter of its edge: pure, from the same table as the HTTPRoute.

    http of a VirtualService, the first that matches counts     does
    <model>.shown                                               answers with the route as it is
    <model>.shown-without-edge                                  answers with the route at weight 0
    <model>.candidate                                           candidate
    <model>.champion                                            champion

The edge's program is in docker/kubernetes/routers/istio; the EnvoyFilter of a model tells it the salt, on each of these routes by its name.
No Istio control plane has ever followed these objects here: their schema and their table are proven, their effect is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluicegate.adapters.cluster_router.dialect import TIMEOUT, Body, service
from sluicegate.adapters.cluster_router.objects import Kind
from sluicegate.domain.route import ANSWERS, Route, Target, in_header
from sluicegate.domain.route_table import HEADER, anybody, candidate_pattern, mark
from sluicegate.domain.route_text import SHOWN, seen_as

ROUTE = Kind("networking.istio.io/v1", "VirtualService", "virtualservices")
FILTER = Kind("networking.istio.io/v1alpha3", "EnvoyFilter", "envoyfilters")
EDGE = "sluicegate.edge"
"""Name of the edge in the gateway's filter chain."""
RETRIES = {"attempts": 24, "backoff": "20ms", "retryOn": "connect-failure,refused-stream,reset"}
"""A server that is started again within some seconds costs waiting, not answers. Predictions change nothing: asking twice is safe."""
_TYPE = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"


@dataclass(frozen=True)
class Istio:
    """VirtualServices of one gateway."""

    gateway: str
    gateway_namespace: str
    namespace: str
    """Where routes and Services are."""

    @property
    def kind(self) -> Kind:
        return ROUTE

    @property
    def edge_kind(self) -> Kind | None:
        return FILTER

    def body(self, route: Route) -> Body:
        return {"spec": {"hosts": ["*"], "gateways": [f"{self.gateway_namespace}/{self.gateway}"], "http": self._http(route)}}

    def attached(self, body: Body, present: Mapping[str, Any]) -> Body:
        return {"spec": {**body["spec"], **{key: present["spec"].get(key, []) for key in ("hosts", "gateways")}}}

    def gone(self) -> Body:
        nothing = {"name": "gone", "directResponse": {"status": 404}}
        return {"spec": {"hosts": ["gone.invalid"], "gateways": [f"{self.namespace}/no-gateway"], "http": [nothing]}}

    def tame(self, thing: Mapping[str, Any]) -> Body:
        """Whatever matches a header may be the candidate's, and whatever is copied goes there."""
        rules = thing["spec"].get("http", [])
        kept = [rule for rule in rules if not any("headers" in match for match in rule.get("match", []))]
        quiet = [{key: value for key, value in rule.items() if not key.startswith("mirror")} for rule in kept]
        return {"spec": {**thing["spec"], "http": quiet}} if quiet else self.gone()

    def edge(self, model: str, name: str, salt: str) -> Body:
        arms = ("shown", "shown-without-edge", "candidate", "champion")
        return {"spec": {"configPatches": [_told(f"{model}.{arm}", salt) for arm in arms]}}

    def _http(self, route: Route) -> list[Body]:
        pattern = candidate_pattern(route.salt, route.weight)
        if pattern is None or route.candidate is None:
            return [_shown("shown", route), self._served("champion", route, route.champion)]
        return [
            _shown("shown", route, anybody(route.salt)),
            _shown("shown-without-edge", replace(route, weight=0, expires_at=None)),
            self._served("candidate", route, route.candidate, pattern),
            self._served("champion", route, route.champion),
        ]

    def _served(self, arm: str, route: Route, target: Target, pattern: str | None = None) -> Body:
        rule: Body = {
            "name": f"{route.model}.{arm}",
            "match": [_match(f"/models/{route.model}/predict", pattern)],
            "route": [{"destination": self._destination(target)}],
            "headers": {
                "request": {"set": {"x-sluicegate-start": "%START_TIME(%s%6f)%", ANSWERS: in_header(target.version)}},
                "response": {"set": {"x-served-by": arm}},
            },
            "timeout": TIMEOUT,
            "retries": RETRIES,
        }
        if route.mirror and route.candidate is not None and arm == "champion":
            copies = {"destination": self._destination(route.candidate), "percentage": {"value": float(route.mirror)}}
            rule["mirrors"] = [copies]
        return rule

    def _destination(self, target: Target) -> Body:
        service(target, self.namespace)
        return {"host": target.host, "port": {"number": target.port}}


def _shown(arm: str, route: Route, pattern: str | None = None) -> Body:
    return {
        "name": f"{route.model}.{arm}",
        "match": [_match(f"/models/{route.model}/route", pattern)],
        "directResponse": {"status": 204},
        "headers": {"response": {"set": {SHOWN: seen_as(route)}}},
    }


def _match(path: str, pattern: str | None) -> Body:
    match: Body = {"uri": {"exact": path}}
    if pattern is not None:
        match["headers"] = {HEADER: {"regex": pattern}}
    return match


def _told(name: str, salt: str) -> Body:
    told = {EDGE: {"@type": _TYPE, "filter_context": {"salt": salt, "mark": mark(salt)}}}
    return {
        "applyTo": "HTTP_ROUTE",
        "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": {"route": {"name": name}}}},
        "patch": {"operation": "MERGE", "value": {"typed_per_filter_config": told}},
    }
