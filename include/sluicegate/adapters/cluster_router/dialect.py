"""What a kind of gateway must be able to say. A dialect is pure: a route in, the body of an object out."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Protocol

from sluicegate.adapters.cluster_router.objects import Kind
from sluicegate.domain.route import Route, Target
from sluicegate.domain.route_text import route_of, shown
from sluicegate.errors import RefusedError, UnavailableError

Body = dict[str, Any]
"""What stands beside an object's metadata: mostly `spec`."""

SHOWN = "x-sluicegate-route"
"""Header of the answer at /models/<model>/route: the route that the proxy follows, as the proxy itself has it."""
TIMEOUT = "5s"
"""A request ends after this long, retries included."""
EXPIRED_LONG_AGO = 0.0
"""Lease of a weight that the data plane has and nobody asked for."""


class Dialect(Protocol):
    """One kind of gateway."""

    @property
    def kind(self) -> Kind:
        """The object that is a model's route: all of it, so that a shift is one write."""
        ...

    @property
    def edge_kind(self) -> Kind | None:
        """The object that tells the edge the model's salt; None when the gateway computes the bucket in the route itself."""
        ...

    def body(self, route: Route) -> Body:
        """The route, followed by the gateway."""
        ...

    def gone(self) -> Body:
        """A route that no gateway follows: the object remains, because it remembers the newest token."""
        ...

    def tame(self, thing: Mapping[str, Any]) -> Body:
        """Of an object that somebody else wrote, what gives the candidate nothing."""
        ...

    def edge(self, model: str, name: str, salt: str) -> Body:
        """What the edge is told for this model, whose route has this name."""
        ...


def seen_as(route: Route) -> str:
    """The value of the header SHOWN."""
    return base64.urlsafe_b64encode(json.dumps(shown(route), sort_keys=True, separators=(",", ":")).encode()).decode()


def seen(value: str) -> Route:
    """Its inverse, without token and lease."""
    try:
        return route_of(json.loads(base64.urlsafe_b64decode(value)), EXPIRED_LONG_AGO)
    except (binascii.Error, ValueError, LookupError, TypeError, RefusedError) as problem:
        raise UnavailableError(
            f"the gateway shows '{value[:80]}' as its route, which is none ({problem}): look who writes it"
        ) from problem


def service(target: Target, namespace: str) -> str:
    """Name of the Service that a host `<service>.<namespace>.svc...` belongs to; of another namespace: RefusedError."""
    name, *rest = target.host.split(".")
    if rest[:2] != [namespace, "svc"]:
        raise RefusedError(
            f"version {target.version} listens on '{target.host}', which is no Service of namespace '{namespace}': "
            f"give it a host such as name.{namespace}.svc.cluster.local"
        )
    return name
