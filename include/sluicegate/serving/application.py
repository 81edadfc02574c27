"""Which path answers what."""

import orjson

from sluicegate.serving.http import JSON, Connections, Response
from sluicegate.serving.metrics import CONTENT_TYPE, Metrics
from sluicegate.serving.service import Service
from sluicegate.serving.watched import Watched

_POST, _GET = JSON + b"allow: POST\r\n", JSON + b"allow: GET, HEAD\r\n"


class ServerApplication:
    """The endpoints of one model server. Not ready until `ready` was called."""

    def __init__(self, service: Service, headers: dict[str, str]) -> None:
        self._service, self._predict = service, service.predict
        self._path = f"/models/{service.model.manifest.model}/predict"
        self.connections = Connections(self, headers)
        self._metrics = Metrics(service, self.connections)
        self._watched = Watched(service, lambda: self.connections.closing)
        self._trouble: str | None = "the golden rows have not been scored yet"
        self._pages = {
            "/health/live": self._live,
            "/health/ready": self._health,
            "/metrics": self._measured,
            "/evidence": self._evidence,
        }

    def ready(self, trouble: str | None) -> None:
        """Serve from now on, or, when there is a `trouble`, tell it to everybody who asks."""
        self._trouble = trouble

    def respond(self, method: bytes, path: str, headers: dict[bytes, bytes], body: bytes, received_at: float) -> Response:
        """The answer to one request."""
        if path == self._path:
            if method != b"POST":
                return self._refused(405, f"the method {method.decode()} makes no sense at {path}: send POST", _POST)
            if self._trouble is not None:
                return self._refused(503, self._trouble)
            status, content = self._predict(body, headers, received_at)
            return status, JSON, content
        page = self._pages.get(path)
        if page is None:
            return self._refused(404, f"there is nothing at {path[:200]}: send POST {self._path} or GET {', '.join(self._pages)}")
        if method not in (b"GET", b"HEAD"):
            return self._refused(405, f"the method {method.decode()} makes no sense at {path}: send GET", _GET)
        return page()

    def beside(self, path: str) -> Response | None:
        """What is answered from other threads than the loop's: health, and what a watcher reads; None for any other path."""
        page = {"/health/live": self._live, "/health/ready": self._health}.get(path)
        return self._watched.respond(path) if page is None else page()

    def refuse(self, status: int, message: str) -> Response:
        """The answer to something that is no request."""
        return self._refused(status, message)

    def _refused(self, status: int, message: str, lines: bytes = JSON) -> Response:
        status, content = self._service.refuse(status, message)
        return status, lines, content

    def _live(self) -> Response:
        return self._facts(200, "live", "")

    def _health(self) -> Response:
        if self.connections.closing:
            return self._facts(503, "stopping", "the server was told to stop")
        if self._trouble is not None:
            return self._facts(503, "unready", self._trouble)
        return self._facts(200, "ready", "the golden rows score as in training")

    def _facts(self, status: int, state: str, message: str) -> Response:
        manifest = self._service.model.manifest
        facts = {
            "status": state,
            "model": manifest.model,
            "version": self._service.version,
            "model_hash": manifest.model_hash,
            "message": message,
        }
        return status, JSON, orjson.dumps(facts)

    def _measured(self) -> Response:
        return 200, CONTENT_TYPE, self._metrics.text()

    def _evidence(self) -> Response:
        return 200, JSON, self._service.evidence()
