"""One prediction, from body to answer: check, features, score, count, log. No sockets here."""

import os
import time
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from sluicegate.domain.route import ANSWERS, bucket
from sluicegate.errors import PackageError, RequestError, SluicegateError, SpecError
from sluicegate.serving.counters import Counters
from sluicegate.serving.package import Model
from sluicegate.serving.prediction_log import PredictionLog
from sluicegate.serving.recent import Recent
from sluicegate.serving.schema import Body, Schema, parse, refusal

ROLES = ("answer", "mirror", "retry")
"""A retry is answered for another version that failed it: it says nothing about this one's latency or about its own users."""
OLDEST_START_S = 60.0
"""A gateway's start time further back than this, or in the future, is not believed."""
LONGEST_START = 17
"""Digits of a gateway's start time; with hundreds of them it is no number that can be divided."""
_SHADOW = b"-shadow"
"""What Envoy appends to the host of a mirrored request, unless it is told not to."""
_ANSWERS = ANSWERS.encode()
Headers = Mapping[bytes, bytes]
"""Lower-case header names -> values."""
Complain = Callable[[str], None]
_bucket = lru_cache(maxsize=65_536)(bucket)


class Service:
    """Answers prediction requests of one version and counts what it did. Used from one thread.

    Parameters
    ----------
    complain : called with a sentence for every request that the model fails to answer.
    """

    def __init__(self, model: Model, version: str, log: PredictionLog, complain: Complain) -> None:
        manifest = model.manifest
        self.model, self.version, self.log = model, version, log
        self.recent = Recent()
        self.started_at = time.time()
        self.counters = {role: self._new_counters() for role in ROLES}
        self.refused: dict[int, int] = {}
        """Status -> requests that were refused; they are not the model's."""
        self._complain = complain
        self._schema = Schema(manifest)
        self._visible = self._schema.visible
        self._score, self._decide, self._value = model.score_row, model.decide, model.value
        self._segments = bool(manifest.segments)
        self._id, self._time, self._user = manifest.request_id, manifest.event_time, manifest.user_id
        self._version = version.encode()
        self._label = {"model": manifest.model, "version": version}

    def predict(self, body: bytes, headers: Headers, received_at: float) -> tuple[int, bytes]:
        """Status and JSON of the answer to one request received at `received_at` (seconds since the epoch)."""
        entered, cpu = time.perf_counter(), time.thread_time()
        try:
            row, user = self._checked(body, headers)
        except RequestError as e:
            return self.refuse(400 if e.field is None else 422, str(e), e.field)
        role = _role(headers, self._version)
        begun = _begun(headers.get(b"x-sluicegate-start"), received_at)
        try:
            score = self._score(self._visible(row))
        except Exception as e:  # whatever a user's features.py does, the server answers and goes on
            answer = self._failed(row, user, role, begun, e)
        else:
            answer = self._scored(row, user, role, received_at, begun, score)
        self.counters[role].spent(_bucket(user), time.perf_counter() - entered, time.thread_time() - cpu)
        return answer

    def refuse(self, status: int, message: str, field: str | None = None) -> tuple[int, bytes]:
        """The answer to a wrong request; counted by status, not as the model's."""
        self.refused[status] = self.refused.get(status, 0) + 1
        return status, orjson.dumps({"error": message, "field": field})

    def check(self) -> None:
        """Deep health: the golden rows, as JSON through the same checks as requests, score as in training; else PackageError."""

        def prepare(row: Mapping[str, Any]) -> Body:
            try:
                return self._schema.visible(self._checked(orjson.dumps(row), {})[0])
            except RequestError as e:
                raise PackageError(f"a golden row would be refused as a request: {e}") from e

        self.model.check_golden(prepare)

    def evidence(self) -> bytes:
        """JSON of the counters of answers and copies, each with those of the whole process, and the range of their histograms."""
        process = {"cpu_seconds": time.process_time(), "memory_bytes": memory_bytes()}
        roles = {role: self.counters[role].to_dict() | process for role in ("answer", "mirror")}
        return orjson.dumps({**self._label, "score_range": self.model.manifest.score_range, **roles})

    def _new_counters(self) -> Counters:
        manifest = self.model.manifest
        ranges = manifest.slow_bounds_ms, manifest.score_range, manifest.segments
        return Counters(self.started_at, *ranges, valued=self.model.value is not None)

    def _checked(self, body: bytes, headers: Headers) -> tuple[Body, str]:
        row = parse(body)
        row[self._id] = self._name(row.get(self._id), self._id, headers.get(b"x-request-id")) or str(uuid.uuid4())
        user = self._name(row.get(self._user), self._user, headers.get(b"x-user-id"))
        if not user:
            raise refusal(self._user, None, "the id of the user, a string")
        row[self._user] = user
        self._schema.check(row)
        return row, user

    def _name(self, value: Any, field: str, header: bytes | None) -> str:
        """A string that names something; from the header when the body does not say."""
        if type(value) is str and value:
            return value
        if type(value) is int:
            return str(value)
        if value is None or value == "":
            return header.decode("latin-1") if header else ""
        raise refusal(field, value, "a string")

    def _scored(self, row: Body, user: str, role: str, received_at: float, begun: float, score: float) -> tuple[int, bytes]:
        decision = self._decide(score)
        answer = {**self._label, "request_id": row[self._id], "score": score, "decision": decision}
        content = orjson.dumps(answer)
        latency = time.time() - begun
        counters, place = self.counters[role], _bucket(user)
        counters.scored(place, score, decision, latency)
        if self._value is not None:
            self._count_value(counters, place, row, decision)
        if self._segments:
            counters.in_segments(place, row, latency, error=False, decision=decision)
        told = "mirror" if role == "mirror" else "answer"
        self.recent.add(row[self._id], received_at, told, user, score, decision)
        self.log.append(
            orjson.dumps(
                {
                    **answer,
                    "event_time": row[self._time],
                    "asked_at": begun,
                    "received_at": received_at,
                    "role": told,
                    "user": user,
                    "latency_us": int(1e6 * latency),
                    "inputs": row,
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
        )
        return 200, content

    def _failed(self, row: Body, user: str, role: str, begun: float, error: Exception) -> tuple[int, bytes]:
        counters, place, latency = self.counters[role], _bucket(user), max(0.0, time.time() - begun)
        counters.failed(place, latency)
        if self._segments:
            counters.in_segments(place, row, latency, error=True, decision=False)
        message = f"{error}" if isinstance(error, SluicegateError) else f"the model failed: {type(error).__name__}: {error}"
        self._complain(message)
        answer = {**self._label, "request_id": row[self._id], "error": message}
        return 500, orjson.dumps(answer)

    def _count_value(self, counters: Counters, place: int, row: Body, decision: bool) -> None:
        """The answer stands whatever value() does; but that its worth is not known is told, to the judge as well."""
        assert self._value is not None
        try:
            counters.valued(place, self._value(self._visible(row), decision))
        except SpecError as e:
            self._value = None
            for role in self.counters.values():
                role.value_unknown()
            self._complain(f"{e}; what this version's answers are worth is not known until its server starts anew")


def memory_bytes() -> float | None:
    """Resident memory of this process; None where the system does not tell."""
    try:
        return float(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return None


def _role(headers: Headers, version: bytes) -> str:
    if _SHADOW in headers.get(b"host", b"") or headers.get(_ANSWERS, version) != version:
        return "mirror"
    return "answer" if headers.get(b"x-envoy-attempt-count", b"1") == b"1" else "retry"


def _begun(start: bytes | None, received_at: float) -> float:
    """When the gateway took the request in (epoch microseconds), if that can be believed; else when we received it."""
    if start is None or len(start) > LONGEST_START or not start.isdigit():
        return received_at
    begun = int(start) / 1e6
    return begun if 0.0 <= received_at - begun <= OLDEST_START_S else received_at
