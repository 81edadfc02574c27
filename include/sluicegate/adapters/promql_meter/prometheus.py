"""One question to Prometheus and what it answers, or UnavailableError with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import urllib3

from sluicegate.errors import InputError, UnavailableError
from sluicegate.settings import Settings

TIMEOUT_S = 1.0
"""A Prometheus that is slower than this is missing from the reading."""


class Sample(NamedTuple):
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Vector:
    """An instant vector: all samples of one evaluation, and so of one set of scrapes."""

    at: float
    """When it was evaluated, by the clock of Prometheus, seconds since the epoch."""
    samples: tuple[Sample, ...]


class Prometheus:
    """The query API of one server. Safe for several threads."""

    def __init__(self, url: str, timeout: float = TIMEOUT_S) -> None:
        self._url, self._timeout = url.rstrip("/") + "/api/v1/query", timeout
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, timeout=urllib3.Timeout(total=timeout))

    def query(self, text: str) -> Vector:
        """Evaluate `text` now; a `vector(time())` is added to it, so that also an empty answer says when it was given."""
        fields = {"query": f'label_replace(vector(time()), "fact", "now", "", "") or {text}', "timeout": f"{self._timeout}"}
        try:
            answer = self._pool.request("POST", self._url, fields=fields, encode_multipart=False)
        except urllib3.exceptions.HTTPError as e:
            late = isinstance(e, urllib3.exceptions.TimeoutError) and not isinstance(e, urllib3.exceptions.NewConnectionError)
            why = f"within {self._timeout} s" if late else f"({e}): is it running?"
            raise UnavailableError(f"Prometheus at {self._url} does not answer {why}") from e
        if answer.status != 200:
            raise UnavailableError(f"Prometheus at {self._url} answers {answer.status}: {answer.data[:200]!r}")
        try:
            return _vector(orjson.loads(answer.data))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise UnavailableError(f"{self._url} answers something else than an instant vector ({e!r})") from e


def prometheus(settings: Settings, timeout: float = TIMEOUT_S) -> Prometheus:
    """The one of the settings; InputError when they name none."""
    if not settings.prometheus_url:
        raise InputError("SLUICEGATE_PROMETHEUS_URL is not set: name the Prometheus that scrapes the model servers")
    return Prometheus(settings.prometheus_url, timeout)


def _vector(raw: Any) -> Vector:
    if raw["status"] != "success" or raw.get("warnings"):  # a warning is told when only a part of the data was found
        raise ValueError(f"{raw['status']}: {raw.get('error') or raw.get('warnings')}")
    if raw["data"]["resultType"] != "vector":
        raise ValueError(f"it is a {raw['data']['resultType']}")
    samples = tuple(Sample(each["metric"], float(each["value"][1])) for each in raw["data"]["result"])
    now = next((sample.value for sample in samples if sample.labels.get("fact") == "now"), None)
    if now is None:
        raise ValueError("it does not say when it was evaluated")
    return Vector(now, samples)
