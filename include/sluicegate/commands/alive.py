"""Whether a process that looks again and again still does: GET / answers 200, or 503 once it has not looked for a while."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

WITHIN_S = 5.0
"""A process that has not looked for so long hangs, or cannot reach what it looks at."""


class Alive:
    """Answers in a thread of its own while the `with` block runs.

    Parameters
    ----------
    host, port
        Where it listens; 0 takes a free port.
    within
        Seconds after a beat during which the answer is 200.
    """

    def __init__(self, host: str, port: int, within: float = WITHIN_S) -> None:
        self._within, self._beaten = within, float("-inf")
        self._server = ThreadingHTTPServer((host, port), self._handler())
        self.port: int = self._server.server_address[1]
        """Where it listens."""

    def beat(self) -> None:
        """It has looked."""
        self._beaten = time.monotonic()

    @property
    def well(self) -> bool:
        """Whether the last beat is not long ago."""
        return time.monotonic() - self._beaten <= self._within

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        alive = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                text = b"looking\n" if alive.well else b"has not looked for a while: read the log\n"
                self.send_response(200 if alive.well else 503)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Probes ask every few seconds; that is no news."""

        return Handler
