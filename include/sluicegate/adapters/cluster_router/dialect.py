"""What a kind of gateway must be able to say. A dialect is pure: a route in, the body of an object out."""

from collections.abc import Mapping
from typing import Any, Protocol

from sluicegate.adapters.cluster_router.objects import Kind
from sluicegate.domain.route import Route, Target
from sluicegate.errors import RefusedError

Body = dict[str, Any]
"""What stands beside an object's metadata: mostly `spec`."""

TIMEOUT = "5s"
"""A request ends after this long, retries included."""


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

    def attached(self, body: Body, present: Mapping[str, Any]) -> Body:
        """The body, followed by the gateways that follow the present object."""
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


def service(target: Target, namespace: str) -> str:
    """Name of the Service that a host `<service>.<namespace>.svc...` belongs to; of another namespace: RefusedError."""
    name, *rest = target.host.split(".")
    if rest[:2] != [namespace, "svc"]:
        raise RefusedError(
            f"version {target.version} listens on '{target.host}', which is no Service of namespace '{namespace}': "
            f"give it a host such as name.{namespace}.svc.cluster.local"
        )
    return name
