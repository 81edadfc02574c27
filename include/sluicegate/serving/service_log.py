"""The service log: one JSON line on stdout for what happens to the server, never for a request; the version is on every line."""

import sys
import threading
import time
from datetime import UTC, datetime

import orjson

ERRORS_EVERY_S = 1.0
"""Errors are told at most this often, with the number of those that were not: a broken model must not fill the disk."""


class ServiceLog:
    """Writes lines for one model and version."""

    def __init__(self, model: str, version: str) -> None:
        self._label = {"model": model, "version": version}
        self._told, self._silent = 0.0, 0
        self._lock = threading.Lock()

    def line(self, event: str, message: str = "", **facts: object) -> None:
        """Write one line: event (start, ready, unready, stop, error, prediction_log), message, further facts."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = orjson.dumps({"at": at, "event": event, **self._label, "message": message, **facts}).decode()
        with self._lock:
            print(text, flush=True, file=sys.stdout)

    def error(self, message: str) -> None:
        """An error of the model; most of a flood are only counted."""
        now = time.monotonic()
        if now - self._told < ERRORS_EVERY_S:
            self._silent += 1
            return
        silent, self._told, self._silent = self._silent, now, 0
        self.line("error", message, not_told=silent)
