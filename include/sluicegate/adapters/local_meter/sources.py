"""What answers over HTTP: a model server's evidence and the gateway's admin interface. One kept connection each."""

import http.client
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from sluicegate.domain.evidence import SCORE_BINS, SEGMENT_BUCKETS, ArmCounters, GatewayCounters, Reading
from sluicegate.domain.route import BUCKETS, Route, Target
from sluicegate.errors import UnavailableError

TIMEOUT_S = 0.5
"""A source that does not answer within this is missing from the reading."""
EVIDENCE_TIMEOUT_S = 0.15
"""A model server that is slower than this is saturated: what it writes from another thread is read instead."""
FRESH_S = 1.0
"""Evidence that was written longer ago than this is not known any more."""
ROWS = ("requests", "errors", "decisions", "score_sum", "score_square_sum")
LATER_ROWS = ("value_sum", "value_square_sum", "busy_sum", "cpu_sum")
"""Rows of an arm that a server may not count."""


@dataclass(frozen=True)
class Evidence:
    """What one model server counted."""

    answer: ArmCounters
    mirror: ArmCounters
    score_range: tuple[float, float]


class Source:
    """A keep-alive connection to one address; not for several threads at once."""

    def __init__(self, host: str, port: int, timeout: float = TIMEOUT_S) -> None:
        self._where = f"{host}:{port}"
        self._timeout = timeout
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def __del__(self) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        """JSON of a GET. A connection that the other side closed meanwhile is opened again, once; UnavailableError otherwise."""
        fresh = self._connection.sock is None
        try:
            return self._get(path)
        except (http.client.RemoteDisconnected, ConnectionError) as e:
            if fresh:
                raise UnavailableError(f"{self._where} does not answer {path} ({e!r}): is it running?") from e
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise UnavailableError(f"{self._where} does not answer {path} within {self._timeout} s ({e!r})") from e
        return self.get(path)

    def _get(self, path: str) -> Any:
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            body = answer.read()
        except BaseException:
            self._connection.close()
            raise
        if answer.status != 200:
            raise UnavailableError(f"{self._where} answers {answer.status} to {path}: {body[:200]!r}")
        return orjson.loads(body)


def evidence(source: Source, model: str, target: Target, written: Path) -> Evidence:
    """Counters of the server at a target, or, when it is too busy to answer, what it has just written to a file.

    UnavailableError when it is silent, serves something else, or speaks otherwise.
    """
    try:
        raw = source.get("/evidence")
    except UnavailableError as e:
        if not isinstance(e.__cause__, TimeoutError):
            raise
        raw = _written(written, e)
    try:
        if (raw["model"], raw["version"]) != (model, target.version):
            raise UnavailableError(f"{target.address} serves version {raw['version']} of '{raw['model']}', not {target.version}")
        arms = Reading.from_dict({"taken_at": 0.0, "champion": raw["answer"], "mirror": raw["mirror"]})
        low, high = raw["score_range"]
        for arm in (arms.champion, arms.mirror):
            _check(arm)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise UnavailableError(f"{target.address} answers something else than evidence ({e!r})") from e
    assert arms.champion is not None  # _check saw both
    assert arms.mirror is not None
    return Evidence(arms.champion, arms.mirror, (float(low), float(high)))


def _check(arm: ArmCounters | None) -> None:
    """ValueError or TypeError when a row has another length or holds something else than numbers. A null is the judge's to tell."""
    if arm is None:
        raise ValueError("a role is missing")
    rows = [(getattr(arm, name), BUCKETS) for name in ROWS] + [(counts, BUCKETS) for counts in arm.slow.values()]
    rows += [(row, BUCKETS) for row in (getattr(arm, name) for name in LATER_ROWS) if row]
    rows.append((arm.score_histogram, SCORE_BINS))
    for segment in arm.segments.values():
        counted = (segment.requests, segment.errors, segment.decisions, *segment.slow.values())
        rows += [(row, SEGMENT_BUCKETS) for row in counted]
    for row, length in rows:
        numbers = np.asarray(row, dtype=np.float64)
        if numbers.shape != (length,) or np.isinf(numbers).any():
            raise ValueError(f"no {length} finite numbers: {row!r:.60}")


def _written(path: Path, silent: UnavailableError) -> Any:
    try:
        if time.time() - path.stat().st_mtime < FRESH_S:
            return orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        pass
    raise silent


def gateway(source: Source, route: Route) -> GatewayCounters:
    """What the gateway counted for the two servers of a route, each in its own cluster.

    Whatever the candidate fails or refuses is asked again of the champion, so the retries are the candidate's errors, seen by
    users or not. Where the champion refuses too, the request was wrong and nobody's error: those are the cluster's final 4xx.
    """
    cluster = f"{route.model}/candidate"
    started = source.get("/config_dump?mask=last_updated")
    stats = source.get(f"/stats?format=json&filter=cluster.{cluster}.upstream_rq_(retry|4xx)$")
    clusters = source.get("/clusters?format=json")
    try:
        counted = {s["name"].rpartition(".")[2]: int(s["value"]) for s in stats["stats"] if "name" in s}
        errors = max(0, counted.get("upstream_rq_retry", 0) - counted.get("upstream_rq_4xx", 0))
        champion = _host(clusters, f"{route.model}/champion", route.champion)
        requests = 0 if route.candidate is None else _host(clusters, cluster, route.candidate)["rq_total"]
        return GatewayCounters(_began(started), champion["rq_total"], champion["rq_error"], requests, errors)
    except (KeyError, TypeError, ValueError, IndexError) as e:
        raise UnavailableError(f"the gateway's admin interface answers something else than its clusters ({e!r})") from e


def _began(dump: Any) -> float:
    """When this Envoy read its bootstrap, seconds since the epoch: the same at every reading of one process."""
    return min(datetime.fromisoformat(entry["last_updated"]).timestamp() for entry in dump["configs"] if "last_updated" in entry)


def _host(clusters: Any, name: str, target: Target) -> dict[str, int]:
    """Envoy's counters of one address in one cluster."""
    for cluster in clusters["cluster_statuses"]:
        if cluster["name"] != name:
            continue
        for host in cluster.get("host_statuses", ()):
            address = host["address"]["socket_address"]
            if (address["address"], address["port_value"]) == (target.host, target.port):
                return {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
    raise UnavailableError(f"the gateway's cluster '{name}' has no server {target.address}: it does not follow this route yet")
