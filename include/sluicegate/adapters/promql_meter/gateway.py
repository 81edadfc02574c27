"""What the gateway counted: Envoy's own counters where its clusters tell the versions apart, else what the servers answered.

Envoy tells no start of its counters: a replica that starts anew, and a cluster that comes anew with a candidate, counts less than
before, which the judge takes for the reset that it is.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from sluicegate import kube
from sluicegate.adapters.promql_meter import queries
from sluicegate.adapters.promql_meter.arms import Arms
from sluicegate.adapters.promql_meter.prometheus import Vector
from sluicegate.adapters.promql_meter.table import check_targets, table
from sluicegate.domain.evidence import GatewayCounters
from sluicegate.domain.route import Route
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings

CLUSTER, ROW, CLASS = "envoy_cluster_name", "row", "envoy_response_code_class"
CANDIDATE, CHAMPION = "2", "3"
"""Rules of an HTTPRoute of ours (adapters/cluster_router/gateway_api.py): all of them are always there."""


class Cluster(NamedTuple):
    """Envoy's counters of one cluster, all replicas together."""

    total: float = 0.0
    """Requests sent upstream, those of retries too."""
    retries: float = 0.0
    saved: float = 0.0
    """Requests that a retry answered well."""
    answered: float = 0.0
    """Final answers, Envoy's own (503, 504) among them."""
    refused: float = 0.0
    """4xx among them."""
    failed: float = 0.0
    """5xx among them."""


def question(route: Route, settings: Settings) -> str:
    """What Prometheus is asked: our own gateway is where the servers are, one of others in a namespace that may be another."""
    namespace = settings.namespace if settings.router == "envoy" else settings.route_parent[1]
    return queries.gateway(namespace, clusters_of(route, settings))


def clusters_of(route: Route, settings: Settings) -> str:
    """Regular expression for the names of the route's clusters."""
    if settings.router == "envoy":
        return f"{re.escape(route.model)}/(champion|candidate)"
    return f"{re.escape(_http_route(route, settings))}/rule/[{CANDIDATE}{CHAMPION}]"


def from_envoy(vector: Vector, route: Route, settings: Settings) -> GatewayCounters:
    """Of both versions; UnavailableError when the replicas are not all seen, or none of them knows the route."""
    check_targets(table(Vector(vector.at, tuple(sample for sample in vector.samples if "fact" in sample.labels))))
    seen = clusters(vector)
    return _ours(seen, route.model) if settings.router == "envoy" else _by_rules(seen, _http_route(route, settings))


def clusters(vector: Vector) -> dict[str, Cluster]:
    """The counters by cluster."""
    names = {"total": "total", "retry": "retries", "retry_success": "saved"}
    found: dict[str, Cluster] = {}
    for labels, value in vector.samples:
        if CLUSTER in labels:
            now, code = found.get(labels[CLUSTER], Cluster()), labels.get(CLASS, "")
            if ROW in labels:
                now = now._replace(**{names[labels[ROW]]: value})
            else:
                now = now._replace(answered=now.answered + value)
                now = now._replace(**{{"4": "refused", "5": "failed"}[code]: value}) if code in ("4", "5") else now
            found[labels[CLUSTER]] = now
    return found


def _ours(seen: Mapping[str, Cluster], model: str) -> GatewayCounters:
    """Whatever the candidate fails or refuses is asked again of the champion, so the retries of its cluster are its errors and no
    requests of its own; where the champion refuses too the request was wrong and nobody's error: those are the final 4xx."""
    champion, candidate = seen.get(f"{model}/champion"), seen.get(f"{model}/candidate", Cluster())
    if champion is None:
        raise UnavailableError(f"no replica has the cluster '{model}/champion': they do not follow this route yet")
    errors = max(0.0, candidate.retries - candidate.refused)
    requests = candidate.total - candidate.retries
    return GatewayCounters(0.0, int(champion.total), int(champion.failed), int(requests), int(errors))


def _by_rules(seen: Mapping[str, Cluster], name: str) -> GatewayCounters:
    """A request is retried at its own version, so it was one error, however often, and whether or not a retry hid it."""
    champion, candidate = seen.get(f"{name}/rule/{CHAMPION}"), seen.get(f"{name}/rule/{CANDIDATE}", Cluster())
    if champion is None:
        raise UnavailableError(f"no proxy of the Gateway has the rules of {name}: they do not follow this route yet")
    counted = [(int(cluster.answered), int(cluster.failed + cluster.saved)) for cluster in (champion, candidate)]
    return GatewayCounters(0.0, *counted[0], *counted[1])


def _http_route(route: Route, settings: Settings) -> str:
    """How Envoy Gateway names an HTTPRoute of ours in its clusters."""
    return f"httproute/{settings.namespace}/{kube.named(route.model, 'route')}"


def from_servers(champion: Arms, candidate: Arms | None) -> GatewayCounters:
    """The requests that reached the servers: what never reached one, and what a gateway retried, is not in it."""
    old, new = champion.answer, None if candidate is None else candidate.answer
    started = [old.started_at] + ([] if new is None else [new.started_at])
    return GatewayCounters(
        started_at=max(started),
        champion_requests=sum(old.requests),
        champion_errors=sum(old.errors),
        candidate_requests=0 if new is None else sum(new.requests),
        candidate_errors=0 if new is None else sum(new.errors),
    )
