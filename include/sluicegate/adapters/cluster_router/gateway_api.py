"""From a route to an HTTPRoute and the policy of its edge: pure, so that a table can check it.

    rules of an HTTPRoute       matches                                       does
    shown                       /models/<model>/route, a bucket of the salt   answers with the route as it is
    shown-without-edge          /models/<model>/route                         answers with the route at weight 0
    candidate                   /models/<model>/predict, a bucket below       candidate
    champion                    /models/<model>/predict                       champion

All four are always there, in this order: Envoy Gateway names its clusters after a rule's place, and one that moved would be made anew
under its users. More specific matches go first, whatever their order: so says the Gateway API. The edge is a Lua filter of Envoy
Gateway: the bucket is there before the route is chosen a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sluicegate.adapters.cluster_router.dialect import TIMEOUT, Body, service
from sluicegate.adapters.cluster_router.objects import Kind
from sluicegate.domain.route import ANSWERS, Route, Target, in_header
from sluicegate.domain.route_table import HEADER, anybody, candidate_pattern, mark
from sluicegate.domain.route_text import SHOWN, seen_as

ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
POLICY = Kind("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy", "envoyextensionpolicies")


NOBODY = "nobody"
"""Matches no bucket: the candidate's rule while it has no weight."""


@dataclass(frozen=True)
class GatewayApi:
    """HTTPRoutes that attach to one Gateway."""

    gateway: str
    gateway_namespace: str
    namespace: str
    """Where routes and Services are."""
    kind: Kind = ROUTE
    edge_kind: Kind | None = POLICY

    def body(self, route: Route) -> Body:
        parent = {"name": self.gateway, "namespace": self.gateway_namespace}
        return {"spec": {"parentRefs": [parent], "rules": self._rules(route)}}

    def attached(self, body: Body, present: Mapping[str, Any]) -> Body:
        return {"spec": {**body["spec"], "parentRefs": present["spec"].get("parentRefs", [])}}

    def gone(self) -> Body:
        nothing = {"type": "RequestRedirect", "requestRedirect": {"statusCode": 302}}
        return {"spec": {"parentRefs": [], "rules": [{"name": "gone", "matches": [_match("/")], "filters": [nothing]}]}}

    def tame(self, thing: Mapping[str, Any]) -> Body:
        """Whatever matches a header may be the candidate's, and whatever is copied goes there."""
        rules = thing["spec"].get("rules", [])
        kept = [rule for rule in rules if not any("headers" in match for match in rule.get("matches", []))]
        quiet = [{**rule, "filters": [f for f in rule.get("filters", []) if f["type"] != "RequestMirror"]} for rule in kept]
        return {"spec": {**thing["spec"], "rules": quiet}} if quiet else self.gone()

    def edge(self, model: str, name: str, salt: str) -> Body:
        target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name}
        script = {"type": "Inline", "inline": edge_script(), "filterContext": {"salt": salt, "mark": mark(salt)}}
        return {"spec": {"targetRefs": [target], "lua": [script]}}

    def _rules(self, route: Route) -> list[Body]:
        pattern = candidate_pattern(route.salt, route.weight) or NOBODY
        return [
            _shown("shown", route, anybody(route.salt)),
            _shown("shown-without-edge", replace(route, weight=0, expires_at=None)),
            self._served("candidate", route, route.candidate or route.champion, pattern),
            self._served("champion", route, route.champion),
        ]

    def _served(self, arm: str, route: Route, target: Target, pattern: str | None = None) -> Body:
        filters = [
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {
                    "set": [_header("x-sluicegate-start", "%START_TIME(%s%6f)%"), _header(ANSWERS, in_header(target.version))]
                },
            },
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [_header("x-served-by", arm)]}},
        ]
        if route.mirror and route.candidate is not None and arm == "champion":
            copy = {"backendRef": self._backend(route.candidate), "percent": route.mirror}
            filters.append({"type": "RequestMirror", "requestMirror": copy})
        return {
            "name": arm,
            "matches": [_match(f"/models/{route.model}/predict", pattern)],
            "filters": filters,
            "backendRefs": [self._backend(target)],
            "timeouts": {"request": TIMEOUT},
        }

    def _backend(self, target: Target) -> Body:
        return {"kind": "Service", "name": service(target, self.namespace), "port": target.port}


@cache
def edge_script() -> str:
    """The edge's program."""
    return Path(__file__).with_name("edge.lua").read_text()


def _shown(name: str, route: Route, pattern: str | None = None) -> Body:
    """Answered by the proxy itself, with a redirect that leads nowhere: what it says is in the header."""
    away = {"type": "RequestRedirect", "requestRedirect": {"statusCode": 302, "path": _whole("/")}}
    tells = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [_header(SHOWN, seen_as(route))]}}
    return {"name": name, "matches": [_match(f"/models/{route.model}/route", pattern)], "filters": [away, tells]}


def _match(path: str, pattern: str | None = None) -> Body:
    match: Body = {"path": {"type": "Exact", "value": path}}
    if pattern is not None:
        match["headers"] = [{"type": "RegularExpression", "name": HEADER, "value": pattern}]
    return match


def _whole(path: str) -> Body:
    return {"type": "ReplaceFullPath", "replaceFullPath": path}


def _header(name: str, value: str) -> Body:
    return {"name": name, "value": value}
