"""Traffic: what share of a model's users goes where."""

from typing import Protocol

from sluicegate.domain.route import Route


class Router(Protocol):
    """Five verbs, the same for every gateway. Writes of a rollout carry its fencing token; an older one: StaleTokenError."""

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
        """Cut every route whose lease is over at `now`; bring the data plane back to what was asked.

        Returns the routes that it cut, as they were before. Needs no token: it gives nothing to anybody.
        Works when the gateway does not answer: the cut is then written, and is what it will read.
        """
        ...
