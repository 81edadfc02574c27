"""Counters over HTTP, on connections that stay open. What does not answer in time is a sentence, never a zero."""

import http.client
import json
from typing import Any

from sluicegate.domain.evidence import GatewayCounters
from sluicegate.domain.route import Route, Target
from sluicegate.errors import UnavailableError

PATIENCE = 0.5
"""Seconds in which a source must answer."""


class Source:
    """One address that is asked again and again."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self._name = name
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)

    def get(self, path: str) -> Any:
        """The JSON at this path; UnavailableError with a sentence when there is none."""
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise UnavailableError(f"{self._name} answers {answer.status} to {path}")
            return json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as e:
            self._connection.close()
            raise UnavailableError(f"{self._name} does not answer {path} within {PATIENCE} s: {type(e).__name__} {e}") from e


def gateway_counters(envoy: Source, route: Route) -> GatewayCounters:
    """What Envoy counted per host of the model's two clusters.

    A request that was retried on the champion is still an error of the candidate's host; what the servers refused (4xx) is nobody's.
    """
    clusters = {c["name"]: c for c in envoy.get("/clusters?format=json").get("cluster_statuses", [])}
    refused = _refused(envoy, route.model)
    champion = _host(clusters.get(f"{route.model}/champion"), route.champion)
    candidate = _host(clusters.get(f"{route.model}/candidate"), route.candidate)
    return GatewayCounters(
        started_at=0.0,  # Envoy tells no exact start; a restart shows as counters that shrink
        champion_requests=champion[0],
        champion_errors=max(0, champion[1] - refused["champion"]),
        candidate_requests=candidate[0],
        candidate_errors=max(0, candidate[1] - refused["candidate"]),
    )


def _host(cluster: Any, target: Target | None) -> tuple[int, int]:
    """Requests and errors of one host of a cluster."""
    for host in (cluster or {}).get("host_statuses", []):
        place = host["address"]["socket_address"]
        if target is not None and place["port_value"] == target.port:
            stats = {s["name"]: int(s.get("value", 0)) for s in host["stats"]}
            return stats.get("rq_total", 0), stats.get("rq_error", 0)
    return 0, 0


def _refused(envoy: Source, model: str) -> dict[str, int]:
    path = f"/stats?format=json&filter=^cluster\\.{model}/(champion|candidate)\\.upstream_rq_4xx$"
    found = {"champion": 0, "candidate": 0}
    for stat in envoy.get(path)["stats"]:
        for name in found:
            if f"{model}/{name}." in stat.get("name", ""):
                found[name] = int(stat["value"])
    return found
