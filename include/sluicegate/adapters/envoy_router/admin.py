"""What Envoy itself says it has, read from its admin interface."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from sluicegate.adapters.envoy_router.documents import routes_in
from sluicegate.domain.route import Route
from sluicegate.errors import UnavailableError


class EnvoyAdmin:
    """Reader of one Envoy's admin interface; every call ends within `timeout` seconds or raises UnavailableError."""

    def __init__(self, port: int, timeout: float = 1.0) -> None:
        self._port = port
        self._timeout = timeout

    def routes_version(self) -> str:
        """Version of the route document that Envoy accepted last; empty when it has none yet."""
        return str(self._route_table().get("version_info", ""))

    def routes(self) -> dict[str, Route]:
        """The routes that Envoy follows now, by model, without token and lease."""
        return {route.model: route for route in routes_in(self._route_table().get("route_config", {}))}

    def has_clusters(self, names: set[str]) -> bool:
        """Whether all these clusters are warm."""
        shown = self._configs("dynamic_active_clusters")
        return names <= {entry["cluster"]["name"] for entry in shown}

    def _route_table(self) -> dict[str, Any]:
        tables = self._configs("dynamic_route_configs")
        return tables[0] if tables else {}

    def _configs(self, resource: str) -> list[dict[str, Any]]:
        configs: list[dict[str, Any]] = json.loads(self._get(f"/config_dump?resource={resource}")).get("configs", [])
        return configs

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            message = f"the gateway's admin interface does not answer on port {self._port} ({problem!r}): is the gateway running?"
            raise UnavailableError(message) from problem
        finally:
            connection.close()
        if answer.status != 200:
            where = f"the gateway's admin interface on port {self._port}"
            raise UnavailableError(f"{where} answers {answer.status} to {path}, not 200: {body[:200]!r}")
        return body


def becomes_true(question: Callable[[], bool], patience: float) -> bool | None:
    """Ask until the answer is yes: True; still no after `patience` seconds: False; nobody to ask: None."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if question():
                return True
        except UnavailableError:
            return None
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.003)
