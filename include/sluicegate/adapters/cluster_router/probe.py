"""What the data plane itself says it does: a proxy answers /models/<model>/route with the route that it follows."""

import http.client
import time
from collections.abc import Callable

from sluicegate.domain.route import Route
from sluicegate.domain.route_text import SHOWN, seen
from sluicegate.errors import UnavailableError

ANSWER_WITHIN_S = 1.0
USER = "sluicegate"
"""Of this user the edge computes a bucket, so that a route is shown as it is only where the edge knows its salt."""

LOOKS = 8
"""At an address behind which there may be several proxies: of two, one is missed by 1 reading in 128."""

Address = tuple[str, int]


class Probe:
    """Asks the proxies of a gateway.

    Parameters
    ----------
    addresses
        Where the proxies listen; asked again after a proxy did not answer.
    lasts
        Seconds after which they are asked for again in any case.
    looks
        At each address, each over a connection of its own: it may lead to another proxy. One is enough where each proxy has an address.
    """

    def __init__(self, addresses: Callable[[], list[Address]], lasts: float = 60.0, looks: int = LOOKS) -> None:
        self._find, self._lasts, self._looks = addresses, lasts, looks
        self._known: list[Address] = []
        self._until = float("-inf")

    def routes(self, model: str) -> list[Route | None]:
        """The routes that the proxies follow, None where one has none."""
        if not self._known or time.monotonic() >= self._until:
            self._known, self._until = self._find(), time.monotonic() + self._lasts
        try:
            return [_asked(address, model) for address in self._known for _ in range(self._looks)]
        except UnavailableError:
            self._known = []
            raise


def _connect(connection: http.client.HTTPConnection) -> None:
    """Twice: a packet that was lost, such as while a node rewrites its rules, is no proxy that is away."""
    try:
        connection.connect()
    except TimeoutError:
        connection.connect()


def _asked(address: Address, model: str) -> Route | None:
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_WITHIN_S)
    try:
        _connect(connection)
        connection.request("GET", f"/models/{model}/route", headers={"x-user-id": USER})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as problem:
        raise UnavailableError(
            f"the gateway does not answer at {host}:{port} ({problem!r}): see that its proxies run"
        ) from problem
    finally:
        connection.close()
    value = answer.headers.get(SHOWN)
    if value is not None:
        return seen(value)
    if answer.status != 404:
        raise UnavailableError(
            f"the gateway at {host}:{port} answers {answer.status} where it should show its route: read its log"
        )
    return None
