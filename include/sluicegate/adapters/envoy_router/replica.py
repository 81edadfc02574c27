"""One Envoy of several that follow the same routes: they are kept elsewhere, and each replica ends leases by itself.

Every look reads what was asked, gives it to the Envoy beside it, and cuts what has no lease: here at once, even when nobody can be
asked any more, and there, so that the others and whoever watches learn of it. Replicas agree on every user because they hash alike.
"""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from sluicegate.adapters.envoy_router.router import EnvoyRouter
from sluicegate.domain.route import Route
from sluicegate.domain.route_text import Stored
from sluicegate.errors import SluicegateError

NOWHERE = "192.0.2.1"
"""Reserved for documentation: a server whose name nobody knows. Its requests are answered by the champion."""
NAME_LASTS_S = 5.0
"""A Service that was made anew has another address."""


class Replica:
    """What the lease guard of one replica drives.

    Parameters
    ----------
    local
        The Envoy beside it.
    asked
        What was asked for every model; UnavailableError when nobody answers.
    cut
        Cuts there what has no lease, and returns it.
    """

    def __init__(
        self, local: EnvoyRouter, asked: Callable[[], Mapping[str, Stored]], cut: Callable[[float], list[Route]]
    ) -> None:
        self._local, self._asked, self._cut = local, asked, cut
        self._known: dict[str, Stored] = {}

    def enforce(self, now: float) -> list[Route]:
        """One look. Trouble with what is kept elsewhere is told after the Envoy here has what it must have."""
        trouble: SluicegateError | None = None
        try:
            self._known |= self._asked()
        except SluicegateError as problem:
            trouble = problem
        self._local.follow({model: held(stored, now) for model, stored in self._known.items()})
        self._local.enforce(now)
        cut: list[Route] = []
        if any(stored.route is not None and stored.route.lease_over(now) for stored in self._known.values()):
            cut = self._cut(now)
        if trouble is not None:
            raise trouble
        return cut


def held(stored: Stored, now: float) -> Stored:
    """What may be followed at `now` of what was asked."""
    route = stored.route
    return Stored(stored.token, route.cut()) if route is not None and route.lease_over(now) else stored


class Names:
    """Addresses of hosts: asked again after some seconds, the last known one when nobody answers."""

    def __init__(self, ask: Callable[[str], str] = socket.gethostbyname, now: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._now = ask, now
        self._known: dict[str, tuple[str, float]] = {}

    def address(self, host: str) -> str:
        known, until = self._known.get(host, (NOWHERE, float("-inf")))
        if self._now() < until:
            return known
        with suppress(OSError):
            known = self._ask(host)
        self._known[host] = (known, self._now() + NAME_LASTS_S)
        return known
