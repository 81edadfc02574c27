"""A router in memory: the same rules as a real gateway, nothing listening. For tests and for trying things out."""

from collections.abc import Callable
from dataclasses import replace

from sluicegate.domain.route import Route, fence, next_route, refuse_late, renewable
from sluicegate.errors import UnavailableError


class MemoryRouter:
    """Router port over a dictionary.

    Parameters
    ----------
    now
        Seconds since the epoch, for the refusal of leases that are over; the default refuses none.
    """

    def __init__(self, now: Callable[[], float] = lambda: float("-inf")) -> None:
        self._now = now
        self._routes: dict[str, Route] = {}
        self._tokens: dict[str, int] = {}
        self.answering = True
        """Set to False, and `read` raises as it does when a gateway does not say what it has; writes still work."""
        self.applied: list[Route] = []
        """Every route that changed something, oldest first, cuts of `enforce` included."""

    def apply(self, route: Route) -> None:
        refuse_late(route, self._now())
        self._fence(route.model, route.token)
        self._set(next_route(self._routes.get(route.model), route))

    def read(self, model: str) -> Route | None:
        if not self.answering:
            raise UnavailableError("the gateway does not answer: is it running?")
        route = self._routes.get(model)
        token = self._tokens.get(model)
        return route if route is None or token is None or route.token == token else replace(route, token=token)

    def renew(self, model: str, token: int, expires_at: float) -> None:
        self._fence(model, token)
        route = renewable(model, self._routes.get(model), expires_at, self._now())
        self._routes[model] = replace(route, expires_at=expires_at)

    def remove(self, model: str, token: int) -> None:
        if model in self._tokens:
            self._fence(model, token)
            self._routes.pop(model, None)

    def enforce(self, now: float) -> list[Route]:
        late = [route for route in self._routes.values() if route.lease_over(now)]
        for route in late:
            self._set(route.cut())
        return late

    def _set(self, route: Route) -> None:
        if self._routes.get(route.model) != route:
            self._routes[route.model] = route
            self.applied.append(route)

    def _fence(self, model: str, token: int) -> None:
        fence(model, self._tokens.get(model, token), token)
        self._tokens[model] = token
