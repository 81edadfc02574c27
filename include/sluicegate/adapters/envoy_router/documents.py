"""From routes to Envoy's documents: pure, so that a table can check it.

Assignment: `domain.route.is_candidate` and nothing else. Envoy hashes the value of `x-user-id`, rewritten to `<salt>:<user>`, by
xxHash64 (seed 0), takes it modulo the sum of the weights (PARTS) and walks the clusters in order; the candidate stands first.
A request without a user id cannot be sticky, so it goes to the champion, always.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sluicegate.domain.route import ANSWERS, PARTS, Route, Target
from sluicegate.domain.route_text import EXPIRED_LONG_AGO, SHOWN, route_of, seen_as, shown

Document = dict[str, Any]

ROUTES = "sluicegate"
"""Name of the one route configuration."""
ARMS = ("champion", "candidate", "mirror")
TIMEOUT_S = 5.0
"""A request ends after this long, retries included."""
CANDIDATE_TRY_S = 1.5
"""The candidate has this long to answer before the champion is asked instead."""
CONNECT_S = 0.25
UPSTREAM_IDLE_S = 3.0
"""An idle connection to a server is closed after this long: sooner than the server's own keep-alive, so none is lost."""
MOST_REQUESTS = 10_000
"""At once, a cluster. Far above what servers take: a full breaker answers 503 without a retry, which a user would see."""
MOST_COPIES = 128
"""Mirrored requests at once: more are dropped, so that a stuck candidate costs the gateway nothing."""
RETRY_CHAMPION = "connect-failure,refused-stream,reset"
RETRY_CANDIDATE = "5xx,connect-failure,refused-stream,reset,retriable-status-codes"
CHAMPION_RETRIES = 24
"""About 4 s with the back-off below: a champion that is killed and started again within that time costs waiting, not answers."""
REFUSALS = "400,404,405,411,413,415,422"
"""Statuses of the candidate after which the champion is asked: a candidate that wants other inputs must not refuse users."""
_TYPE = "type.googleapis.com/"


def cluster(model: str, arm: str) -> str:
    """Name of a cluster, e.g. `flights/candidate`."""
    return f"{model}/{arm}"


def endpoint_file(model: str, arm: str) -> str:
    """File of a cluster's endpoints, relative to the gateway's folder."""
    return f"endpoints/{model}.{arm}.json"


def discovery(resources: list[Document]) -> Document:
    """Wrap resources as Envoy reads them; the version is their digest, so the same content has the same version."""
    text = json.dumps(resources, sort_keys=True)
    return {"version_info": hashlib.sha256(text.encode()).hexdigest()[:16], "resources": resources}


def endpoint_documents(routes: Iterable[Route], resolve: Callable[[str], str] = str) -> dict[str, Document]:
    """EDS: file name -> document, one a cluster. Envoy takes addresses here and no names: `resolve` gives a host's address."""
    return {
        endpoint_file(route.model, arm): discovery([_endpoints(cluster(route.model, arm), tiers, resolve)])
        for route in routes
        for arm, tiers in _tiers(route).items()
    }


def cluster_document(models: Iterable[str], folder: Path) -> Document:
    """CDS of all models; it depends on their names alone, so a rollout never rebuilds a cluster."""
    return discovery([_cluster(model, arm, folder) for model in sorted(models) for arm in ARMS])


def route_document(routes: Iterable[Route], *, telling: bool = False) -> Document:
    """RDS: everything that a shift changes, in one document and so in one instant.

    Envoy takes a new version only with new content, so the version stands in the content too.
    """
    table = route_configuration(routes, telling=telling)
    version = discovery([table])["version_info"]
    marked = {**table, "metadata": {"filter_metadata": {"sluicegate": {"version": version}}}}
    return {"version_info": version, "resources": [marked]}


def route_configuration(routes: Iterable[Route], *, telling: bool = False) -> Document:
    """The virtual host with the routes of every model and the answer for those that are not there.

    `telling` adds, for each model, an answer that shows its route: for those who cannot ask the admin interface.
    """
    ordered = sorted(routes, key=lambda route: route.model)
    return {
        "@type": _TYPE + "envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "virtual_hosts": [
            {
                "name": ROUTES,
                "domains": ["*"],
                "include_request_attempt_count": True,
                "request_headers_to_add": [_header("x-sluicegate-start", "%START_TIME(%s%6f)%")],
                "request_headers_to_remove": [ANSWERS],  # copies are told by their host here; nobody else may call his own one
                "response_headers_to_add": [_header("x-served-by", "%UPSTREAM_METADATA(sluicegate:arm)%")],
                "retry_policy": _retries(),
                "routes": [entry for route in ordered for entry in _entries(route)]
                + [_told(route) for route in ordered if telling]
                + [_nowhere()],
            }
        ],
    }


def routes_in(table: Document) -> list[Route]:
    """The routes that a route configuration was made from, without token and lease."""
    entries = [entry for host in table.get("virtual_hosts", []) for entry in host["routes"]]
    notes = [entry.get("metadata", {}).get("filter_metadata", {}).get("sluicegate", {}).get("route", "") for entry in entries]
    return [route_of(json.loads(note), EXPIRED_LONG_AGO) for note in notes if note]


def _entries(route: Route) -> list[Document]:
    path = f"/models/{route.model}/predict"
    with_user = {"name": "x-user-id", "string_match": {"safe_regex": {"regex": ".+"}}}
    return [
        {
            "match": {"path": path, "headers": [with_user]},
            "metadata": {"filter_metadata": {"sluicegate": {"route": json.dumps(shown(route), sort_keys=True)}}},
            "route": _action(route, route.weight),
        },
        {"match": {"path": path}, "route": _action(route, 0)},
    ]


def _told(route: Route) -> Document:
    return {
        "match": {"path": f"/models/{route.model}/route"},
        "direct_response": {"status": 204},
        "response_headers_to_add": [_header(SHOWN, seen_as(route))],
    }


def _action(route: Route, weight: int) -> Document:
    """Every request is mirrored at the route's percent, also one that the candidate answers: that copy is waste, not harm."""
    parts = weight * (PARTS // 100)
    action: Document = {
        "weighted_clusters": {"use_hash_policy": True, "clusters": _split(route.model, parts)},
        "hash_policy": [{"header": {"header_name": "x-user-id", "regex_rewrite": _salted(route.salt)}}],
        "timeout": f"{TIMEOUT_S}s",
    }
    if route.mirror:
        fraction = {"default_value": {"numerator": route.mirror, "denominator": "HUNDRED"}}
        action["request_mirror_policies"] = [{"cluster": cluster(route.model, "mirror"), "runtime_fraction": fraction}]
    return action


def _salted(salt: str) -> Document:
    """`^` is found once, at the start; a backslash in a substitution would be read as a group."""
    return {"pattern": {"regex": "^"}, "substitution": salt.replace("\\", "\\\\") + ":"}


def _split(model: str, parts: int) -> list[Document]:
    candidate = {
        "name": cluster(model, "candidate"),
        "weight": parts,
        "request_headers_to_add": [
            _header("x-envoy-retry-on", RETRY_CANDIDATE),
            _header("x-envoy-retriable-status-codes", REFUSALS),
        ],
    }
    champion = {
        "name": cluster(model, "champion"),
        "weight": PARTS - parts,
        "request_headers_to_add": [_header("x-envoy-max-retries", str(CHAMPION_RETRIES))],
    }
    return [candidate, champion]


def _retries() -> Document:
    """Once, on the next priority: candidate, then champion. Predictions change nothing, so asking twice is safe."""
    return {
        "retry_on": RETRY_CHAMPION,
        "num_retries": 1,
        "retry_back_off": {"base_interval": "0.02s", "max_interval": "0.4s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": _TYPE + "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
    }


def _nowhere() -> Document:
    sentence = "no model is served at this path; send POST /models/<model>/predict with the name of a served model"
    return {"match": {"prefix": "/"}, "direct_response": {"status": 404, "body": {"inline_string": sentence}}}


def _header(name: str, value: str) -> Document:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _cluster(model: str, arm: str, folder: Path) -> Document:
    most = MOST_COPIES if arm == "mirror" else MOST_REQUESTS
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "@type": _TYPE + "envoy.config.cluster.v3.Cluster",
        "name": cluster(model, arm),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(folder / endpoint_file(model, arm))},
        "connect_timeout": f"{CONNECT_S}s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(names, most)]},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": _upstream_times(arm),
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _upstream_times(arm: str) -> Document:
    idle = {"idle_timeout": f"{UPSTREAM_IDLE_S}s"}
    return idle if arm == "champion" else {**idle, "max_stream_duration": f"{CANDIDATE_TRY_S}s"}


def file_source(path: Path) -> Document:
    """A configuration source that follows renames onto `path`."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _tiers(route: Route) -> dict[str, list[tuple[str, Target]]]:
    """The servers of each cluster, first choice first."""
    champion = ("champion", route.champion)
    if route.candidate is None:
        return {"champion": [champion], "candidate": [champion], "mirror": []}
    candidate = ("candidate", route.candidate)
    return {"champion": [champion], "candidate": [candidate, champion], "mirror": [candidate]}


def _endpoints(name: str, tiers: list[tuple[str, Target]], resolve: Callable[[str], str]) -> Document:
    return {
        "@type": _TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": [
            {"priority": place, "lb_endpoints": [_endpoint(arm, target, resolve(target.host))]}
            for place, (arm, target) in enumerate(tiers)
        ],
    }


def _endpoint(arm: str, target: Target, host: str) -> Document:
    labels: Mapping[str, str] = {"arm": arm, "version": target.version}
    address = {"socket_address": {"address": host, "port_value": target.port}}
    return {"endpoint": {"address": address}, "metadata": {"filter_metadata": {"sluicegate": labels}}}
