"""Our own Envoys as a Deployment: a route is a ConfigMap that the guard of every replica reads through the API.

A ConfigMap that is mounted into a pod follows within a minute; one that is read follows within the guard's next look.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluicegate.adapters.cluster_router.dialect import Body, service
from sluicegate.adapters.cluster_router.objects import Kind
from sluicegate.domain.route import Route
from sluicegate.domain.route_text import shown

CONFIG = Kind("v1", "ConfigMap", "configmaps")


@dataclass(frozen=True)
class Envoys:
    """Routes for the replicas of our gateway. What they follow stands in the annotation; the data is for people."""

    namespace: str

    @property
    def kind(self) -> Kind:
        return CONFIG

    @property
    def edge_kind(self) -> Kind | None:
        return None

    def body(self, route: Route) -> Body:
        for target in filter(None, (route.champion, route.candidate)):
            service(target, self.namespace)
        return {"data": {"route": json.dumps(shown(route), indent=1)}}

    def attached(self, body: Body, present: Mapping[str, Any]) -> Body:
        """Every replica follows every route."""
        return body

    def gone(self) -> Body:
        return {"data": {"route": "none"}}

    def tame(self, thing: Mapping[str, Any]) -> Body:
        """Replicas follow nothing that they cannot read: there is nothing to change."""
        return {}

    def edge(self, model: str, name: str, salt: str) -> Body:
        raise NotImplementedError("our Envoy hashes by itself")
