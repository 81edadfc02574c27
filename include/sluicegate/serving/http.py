"""The wire: HTTP/1.1 by httptools on a bare asyncio protocol, one request at a time a connection, answered as it is complete.

Why not a web framework: behind a trimmed uvicorn the same service has about half the throughput (45 % of uvicorn's own constant
answer; here about 85 % of it: benchmarks/serving.py). httptools and uvloop are what uvicorn itself stands on.
"""

import asyncio
import time
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote

import httptools

MOST_BODY = 64 * 1024
"""Bytes of a request's body; more is refused with 413."""
MOST_HEADERS = 64 * 1024
"""Bytes of a request's head that may wait for its end; more is refused with 431."""
LINGER_S = 0.5
"""How long a refused client may go on sending before its connection is closed: closing at once would destroy the answer."""
IDLE_S = 75.0
"""A silent connection is closed after this long, also in the middle of a request; longer than the gateway's own patience."""
REQUEST_S = 30.0
"""A request must have come in whole after this long, however busily it trickles; the gateway's own patience is 10 s."""
_TOO_LARGE = f"the body has more than {MOST_BODY} bytes: send one flat JSON object"
PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


JSON = b"content-type: application/json\r\n"
Response = tuple[int, bytes, bytes]
"""Status, header lines, content."""


class Application(Protocol):
    """What answers the requests."""

    def respond(self, method: bytes, path: str, headers: dict[bytes, bytes], body: bytes, received_at: float) -> Response:
        """Status, content type and content; must not block longer than an answer takes."""
        ...

    def refuse(self, status: int, message: str) -> Response:
        """The answer to something that is no request, or too large a one."""
        ...


class Connections:
    """All open connections of one server, and whether it is about to stop."""

    def __init__(self, application: Application, headers: dict[str, str]) -> None:
        self.application = application
        self.open: set[Connection] = set()
        self.closing = False
        self._extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        self._heads: dict[tuple[int, bytes, bool], bytes] = {}

    def __call__(self) -> "Connection":
        return Connection(self)

    @property
    def in_flight(self) -> int:
        """Requests that have begun to come in and are not answered."""
        return sum(connection.busy for connection in self.open)

    def head(self, status: int, lines: bytes, close: bool) -> bytes:
        """Status line and headers up to the content's length, made once a combination."""
        key = (status, lines, close)
        found = self._heads.get(key)
        if found is None:
            first = f"HTTP/1.1 {status} {PHRASES.get(status, 'Unknown')}\r\n".encode()
            end = b"connection: close\r\n" if close else b""
            found = self._heads[key] = first + lines + self._extra + end + b"content-length: "
        return found

    def sweep(self) -> None:
        """Close the connections that have been silent too long, and those whose request takes too long to come in."""
        now = time.monotonic()
        for connection in [c for c in self.open if c.heard_at < now - IDLE_S or (c.busy and c.begun_at < now - REQUEST_S)]:
            connection.close()

    async def drain(self, patience: float, linger: float) -> None:
        """Stop: every answer from now on closes its connection; idle connections are closed after `linger` seconds.

        The linger lets a proxy that has just taken an idle connection from its pool send its request and be answered.
        """
        self.closing = True
        await asyncio.sleep(min(linger, patience))
        for connection in [c for c in self.open if not c.busy]:
            connection.close()
        deadline = time.monotonic() + patience - linger
        while self.open and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.open):
            connection.close()


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        self._respond = connections.application.respond
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._url, self._body, self._size, self._head_size = b"", b"", 0, 0
        self._headers: dict[bytes, bytes] = {}
        self._ended = self._in_head = False
        self.busy = False
        self.heard_at = self.begun_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._all.open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._all.open.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self.heard_at = time.monotonic()
        try:
            self._parser.feed_data(data)
            if self._in_head:
                self._grow_head(len(data))
        except httptools.HttpParserUpgrade:  # answered as HTTP/1.1; what follows may be another protocol
            self._end()
        except httptools.HttpParserError as e:
            self._refuse(400, f"the request is not HTTP ({e}): send POST /models/<model>/predict")

    def close(self) -> None:
        """Close after what is written has been sent."""
        self._transport.close()

    def pause_writing(self) -> None:
        """A client that does not read its answers is not read from either."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    # what httptools calls

    def on_message_begin(self) -> None:
        self.busy = self._in_head = True
        self.begun_at = self.heard_at
        self._url, self._body, self._size, self._head_size = b"", b"", 0, 0
        self._headers = {}

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        if int(self._headers.get(b"content-length", b"0")) > MOST_BODY:
            self._refuse(413, _TOO_LARGE)
        elif self._headers.get(b"expect", b"").lower() == b"100-continue" and not self._ended:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MOST_BODY:
            self._refuse(413, _TOO_LARGE)
        else:
            self._body += part

    def on_message_complete(self) -> None:
        if self._ended:
            return
        try:
            response = self._respond(self._parser.get_method(), _path(self._url), self._headers, self._body, time.time())
        except Exception as e:  # a fault of ours costs one answer, not the connection
            response = self._all.application.refuse(500, f"the server failed: {type(e).__name__}: {e}")
        close = self._all.closing or not self._parser.should_keep_alive()
        self._write(response, close)
        if close:
            self._ended = True
            self._transport.close()

    def _grow_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MOST_HEADERS:
            self._refuse(431, f"the head of the request has more than {MOST_HEADERS} bytes: send fewer or shorter headers")

    def _refuse(self, status: int, message: str) -> None:
        """Answer once and end: what follows on this connection cannot be told apart from the refused rest."""
        if not self._ended:
            self._write(self._all.application.refuse(status, message), True)
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)

    def _write(self, response: Response, close: bool) -> None:
        status, lines, content = response
        body = b"" if self._parser.get_method() == b"HEAD" else content
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._all.head(status, lines, close), len(content), body))
        self.busy = False


@lru_cache(maxsize=256)
def _path(url: bytes) -> str:
    return unquote(url.partition(b"?")[0].decode("latin-1"))


async def listen(connections: Connections, host: str, port: int) -> asyncio.Server:
    """Accept connections on host and port; OSError when the port is taken."""
    return await asyncio.get_running_loop().create_server(connections, host, port, backlog=1024, reuse_address=True)
