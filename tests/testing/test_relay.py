"""A relay carries what it is given until it is cut, and again once it is mended."""

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from sluicegate.testing.relay import Address, Heard, Relay


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while content := self.request.recv(1024):
            self.request.sendall(content.upper())


@pytest.fixture
def server() -> Iterator[Address]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served.server_address
        served.shutdown()
        thread.join()


def connected(relay: Relay) -> socket.socket:
    return socket.create_connection((relay.host, relay.port), timeout=10.0)


def test_what_is_sent_arrives_and_the_answer_too(server: Address) -> None:
    with Relay(server) as relay, connected(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"HELLO"


def test_a_cut_breaks_open_connections_and_new_ones_until_it_is_mended(server: Address) -> None:
    with Relay(server) as relay:
        with connected(relay) as before:
            before.sendall(b"a")
            assert before.recv(1) == b"A"
            relay.cut()
            assert silent(before)
        with connected(relay) as during:
            assert silent(during)
        relay.mend()
        with connected(relay) as after:
            after.sendall(b"b")
            assert after.recv(1) == b"B"


def silent(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_a_relay_that_listens_hears_both_ways_of_each_client(server: Address) -> None:
    said: dict[str, list[bytes]] = {"there": [], "back": []}

    class Ears(Relay):
        def heard(self, client: Address) -> tuple[Heard, Heard]:
            assert client[0] == "127.0.0.1"
            return said["there"].append, said["back"].append

    with Ears(server) as relay, connected(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"HELLO"
    assert said == {"there": [b"hello"], "back": [b"HELLO"]}
