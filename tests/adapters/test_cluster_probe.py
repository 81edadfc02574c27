"""What proxies show is seen at each of them, as far as an address leads to it."""

from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread

import pytest

from sluicegate.adapters.cluster_router.probe import LOOKS, Address, Probe
from sluicegate.domain.route import Route, Target
from sluicegate.domain.route_text import SHOWN, seen_as
from sluicegate.errors import UnavailableError

FOLLOWED = Route("flights", Target("1", "h", 1), Target("2", "h", 1), 25, 0, "s", 1, 60.0)
Proxies = Callable[..., Address]


@pytest.fixture
def behind_one_address() -> Iterator[Proxies]:
    """Starts proxies that follow these routes: each connection leads to the next one of them."""
    servers = []

    def start(*routes: Route) -> Address:
        turn = count()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.follows = routes[next(turn) % len(routes)]

            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header(SHOWN, seen_as(self.follows))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return "127.0.0.1", servers[-1].server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def weights(probe: Probe) -> list[int | None]:
    return [None if route is None else route.weight for route in probe.routes("flights")]


def test_proxy_that_lags_behind_an_address_of_several_is_seen(behind_one_address: Proxies) -> None:
    address = behind_one_address(FOLLOWED.cut(), FOLLOWED)
    assert sorted(set(weights(Probe(lambda: [address])))) == [0, 25]


def test_each_look_is_a_connection_of_its_own(behind_one_address: Proxies) -> None:
    address = behind_one_address(FOLLOWED, FOLLOWED.cut())
    assert weights(Probe(lambda: [address])) == [25, 0] * (LOOKS // 2)


def test_proxies_with_an_address_each_are_asked_once_each(behind_one_address: Proxies) -> None:
    addresses = [behind_one_address(FOLLOWED), behind_one_address(FOLLOWED.cut())]
    assert weights(Probe(lambda: addresses, looks=1)) == [25, 0]


def losing(packets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many first packets of connections are lost, one after the other."""
    connect, lost = HTTPConnection.connect, iter(range(packets))

    def connects(connection: HTTPConnection) -> None:
        if next(lost, None) is not None:
            raise TimeoutError("timed out")
        connect(connection)

    monkeypatch.setattr(HTTPConnection, "connect", connects)


def test_one_lost_packet_is_no_proxy_that_is_away(behind_one_address: Proxies, monkeypatch: pytest.MonkeyPatch) -> None:
    address = behind_one_address(FOLLOWED)
    losing(1, monkeypatch)
    assert weights(Probe(lambda: [address])) == [25] * LOOKS


def test_address_where_nobody_takes_a_connection_does_not_answer(
    behind_one_address: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = behind_one_address(FOLLOWED)
    losing(2, monkeypatch)
    with pytest.raises(UnavailableError, match="does not answer"):
        weights(Probe(lambda: [address]))
