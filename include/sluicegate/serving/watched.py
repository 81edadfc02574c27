"""What a watcher in a cluster reads of one server, from a thread beside the loop that answers: counters and newest answers.

GET /metrics/evidence   the judge's counters, for Prometheus (evidence_page)
GET /answers/<number>   what this process answered from that number on, for whoever joins pairs (recent)
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from sluicegate.serving.evidence_page import CONTENT_TYPE, EvidencePage, Labels, Row, rows
from sluicegate.serving.http import JSON, Response
from sluicegate.serving.service import Service, memory_bytes

ANSWERS = "/answers/"
EVIDENCE = "/metrics/evidence"


class Watched:
    """The two pages of one server. Safe to be asked from several threads.

    Parameters
    ----------
    ending : whether the server was told to stop; it says so as long as it can, so that its silence is then no outage.
    """

    def __init__(self, service: Service, ending: Callable[[], bool]) -> None:
        self._ending = ending
        manifest = service.model.manifest
        self._service, self._range = service, manifest.score_range
        self.process = process_name(service.started_at)
        self._label = {"model": manifest.model, "version": service.version}
        self._facts = (*self._label.items(), ("process", self.process))
        self._page = EvidencePage()

    def respond(self, path: str) -> Response | None:
        """The page at this path, or None."""
        if path == EVIDENCE:
            return 200, CONTENT_TYPE, self._page.text(self._rows(), self._told())
        number = path.removeprefix(ANSWERS)
        if path.startswith(ANSWERS) and number.isascii() and number.isdigit() and len(number) < 18:
            return 200, JSON, self._answers(int(number))
        return None

    def _rows(self) -> Iterator[Row]:
        """Copies are told from the first one on: a champion has none, and half of all series would be zeros for ever."""
        counters = self._service.counters
        yield from rows("answer", counters["answer"].to_dict())
        if counters["mirror"].requests:
            yield from rows("mirror", counters["mirror"].to_dict())

    def _told(self) -> Iterator[tuple[Labels, float | None]]:
        answers = self._service.counters["answer"].requests
        facts = {"taken_at": time.time(), "started_at": self._service.started_at, "answers": answers}
        facts |= {"cpu_seconds": time.process_time()} | ({"ending": 1} if self._ending() else {})
        for name, value in {**facts, "memory_bytes": memory_bytes()}.items():
            yield (*self._facts, ("fact", name)), value

    def _answers(self, number: int) -> bytes:
        told: dict[str, Any] = {**self._label, "process": self.process, "score_range": self._range, "ending": self._ending()}
        return orjson.dumps(told | {"answers": self._service.recent.since(number)})


def process_name(started_at: float) -> str:
    """Another one after every start, also in the same pod."""
    return f"{socket.gethostname()}-{os.getpid()}-{started_at:.3f}"
