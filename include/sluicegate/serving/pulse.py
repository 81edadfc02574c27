"""Health for probes and counters for watchers, answered beside the loop that answers requests.

A server that is busy answers its requests late, and would answer probes as late: its orchestrator would kill it for being needed. So
probes have a thread and a port of their own. It tells a busy loop, which still turns, from one that hangs for good.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sluicegate.serving.http import JSON, Response

HUNG_S = 20.0
"""A loop that has not turned for so long hangs: no request may take longer than the gateway's 10 s."""
Page = Callable[[str], Response | None]
"""Path → answer, or None when there is nothing there; called from several threads."""


class Pulse:
    """Answers the pages on a port of its own until it is closed; OSError when the port is taken."""

    def __init__(self, host: str, port: int, page: Page, *, hung_after: float = HUNG_S) -> None:
        self._page, self._hung_after = page, hung_after
        self._beat = time.monotonic()
        handler = type("Handler", (_Handler,), {"respond": staticmethod(self._respond)})
        self._server = ThreadingHTTPServer((host, port), handler)
        threading.Thread(target=self._server.serve_forever, name="pulse", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def beat(self) -> None:
        """The loop turns; called from it, at least every few seconds."""
        self._beat = time.monotonic()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _respond(self, path: str) -> Response:
        answer = self._page(path)
        if answer is None:
            return 404, JSON, json.dumps({"error": f"there is nothing at {path[:200]}: ask for /health/ready"}).encode()
        silent = time.monotonic() - self._beat
        if silent > self._hung_after and path.startswith("/health/"):
            return 503, JSON, json.dumps({"status": "hung", "message": f"no request was looked at for {silent:.0f} s"}).encode()
        return answer


class _Handler(BaseHTTPRequestHandler):
    respond: Callable[[str], Response]
    timeout = 5.0

    def do_GET(self) -> None:
        status, lines, content = self.respond(self.path)
        with contextlib.suppress(ConnectionError):  # whoever asked did not wait
            self.send_response(status)
            self.send_header(*lines.decode().strip().split(": ", 1))
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a probe a second would be all that the log holds."""
