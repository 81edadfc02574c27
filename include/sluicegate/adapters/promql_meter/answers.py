"""The newest answers of the model servers, read over HTTP from each pod, each answer once."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import urllib3

from sluicegate.domain.pairing import Line
from sluicegate.serving.recent import MOST_TOLD
from sluicegate.serving.watched import ANSWERS

TIMEOUT_S = 0.5
MOST_QUESTIONS = 8
"""To one pod in one round; what is left is read in the next one."""
Clock = Callable[[], float]


class PodAnswers:
    """What one target answers under the name of one version.

    Parameters
    ----------
    address : host and port of its page for watchers.
    """

    def __init__(self, model: str, version: str, address: str, pool: urllib3.PoolManager, clock: Clock = time.time) -> None:
        self._label, self._address, self._pool, self._clock = (model, version), address, pool, clock
        self._process, self._next = "", 0
        self.score_range = (0.0, 1.0)
        self.read_at = clock()
        """When it was last read to its end."""
        self.ending = False
        """Whether it said that it ends: then its silence is no outage."""
        self.lost = 0
        """Answers that were forgotten before they were read."""

    def read(self) -> list[Line]:
        """What it answered since the last time; nothing while it is silent, which `read_at` tells."""
        lines: list[Line] = []
        try:
            for _ in range(MOST_QUESTIONS):
                told = list(self._ask())
                lines += told
                if len(told) < MOST_TOLD:
                    self.read_at = self._clock()
                    break
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):  # what is no answer of ours is silence
            pass
        return lines

    def _ask(self) -> Iterator[Line]:
        told = self._told()
        if told["process"] != self._process:  # another process counts from zero
            begun, self._process, self._next = self._next, told["process"], 0
            told = self._told() if begun else told
        self.ending = bool(told["ending"])
        low, high = told["score_range"]
        self.score_range = (float(low), float(high))
        for number, request_id, received_at, role, user, score, decision in told["answers"]:
            self.lost += max(0, number - self._next)
            self._next = number + 1
            if score is not None:
                yield Line(request_id, received_at, role, user, score, decision)

    def _told(self) -> Any:
        answer = self._pool.request("GET", f"http://{self._address}{ANSWERS}{self._next}")
        told = orjson.loads(answer.data)
        if (told["model"], told["version"]) != self._label:
            raise ValueError(f"{self._address} serves version {told['version']} of '{told['model']}'")
        return told


def pool() -> urllib3.PoolManager:
    """Connections for all pods."""
    return urllib3.PoolManager(num_pools=64, retries=False, timeout=urllib3.Timeout(total=TIMEOUT_S))
