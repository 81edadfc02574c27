"""Traffic: what share of a model's users goes where."""

from typing import Protocol

from sluicegate.domain.route import Route


class Router(Protocol):
    """Five verbs, the same for every gateway. Every write of a rollout carries a fencing token; an older one raises StaleTokenError."""

    def apply(self, route: Route) -> None:
        """Make the data plane follow this route; returns once the write is durable. Applying it again changes nothing."""
        ...

    def read(self, model: str) -> Route | None:
        """What the data plane has now (not what was asked for); None when the model has no route."""
        ...

    def renew(self, model: str, token: int, expires_at: float) -> None:
        """Extend the lease of the present weight without touching the traffic; RefusedError when there is no weight to hold."""
        ...

    def remove(self, model: str, token: int) -> None:
        """Take the model's route away; removing again changes nothing."""
        ...

    def enforce(self, now: float) -> list[Route]:
        """Cut every route whose lease is over at `now`, and make the data plane follow again what it should have (a writer may have
        died between two files). Returns the routes that were cut, as they were before; needs no token: it only ever takes away.
        """
        ...
