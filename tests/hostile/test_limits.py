"""Limits of the model server that a clock decides: a request may not take for ever to come in."""

import asyncio

import pytest

from sluicegate.serving.http import IDLE_S, REQUEST_S, Connection, Connections, Response

HEAD = b"POST /models/toy/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


class Nobody:
    """An application that is never reached."""

    def respond(self, method: bytes, path: str, headers: dict[bytes, bytes], body: bytes, received_at: float) -> Response:
        raise AssertionError("the request is not complete")

    def refuse(self, status: int, message: str) -> Response:
        return status, b"", message.encode()


class Wire(asyncio.Transport):
    """A transport that only knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def connections() -> Connections:
    return Connections(Nobody(), {})


def opened(connections: Connections, sent: bytes) -> tuple[Connection, Wire]:
    connection, wire = connections(), Wire()
    connection.connection_made(wire)
    if sent:
        connection.data_received(sent)
    return connection, wire


def test_a_body_that_trickles_for_too_long_is_cut_off_although_it_is_never_silent(connections: Connections) -> None:
    connection, wire = opened(connections, HEAD + b"x")
    connection.begun_at -= REQUEST_S + 1
    connection.data_received(b"x")
    connections.sweep()
    assert wire.closed


def test_a_head_that_trickles_for_too_long_is_cut_off(connections: Connections) -> None:
    connection, wire = opened(connections, HEAD[:30])
    connection.begun_at -= REQUEST_S + 1
    connections.sweep()
    assert wire.closed


def test_a_request_that_is_still_young_is_waited_for(connections: Connections) -> None:
    _, wire = opened(connections, HEAD + b"x")
    connections.sweep()
    assert not wire.closed


def test_an_idle_connection_of_a_pool_stays_open_until_it_was_silent_too_long(connections: Connections) -> None:
    connection, wire = opened(connections, b"")
    connection.begun_at -= REQUEST_S + 1
    connections.sweep()
    assert not wire.closed
    connection.heard_at -= IDLE_S + 1
    connections.sweep()
    assert wire.closed
