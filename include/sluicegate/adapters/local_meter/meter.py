"""One reading: all sources at once, each with its own patience; what is silent is None and named."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa

from sluicegate.adapters.local_meter.labels import Labels
from sluicegate.adapters.local_meter.pairs import Pairs
from sluicegate.adapters.local_meter.sources import EVIDENCE_TIMEOUT_S, Evidence, Source, evidence, gateway
from sluicegate.domain.evidence import GatewayCounters, LabelCounters, PairCounters, Reading
from sluicegate.domain.route import Route, Target
from sluicegate.errors import UnavailableError
from sluicegate.ports.meter import LabelWindow
from sluicegate.serving.counters import EVIDENCE_FILE
from sluicegate.settings import Settings

T = TypeVar("T")
_Key = tuple[str, str, str, float, tuple[float, float]]


class LocalMeter:
    """Implements the Meter port. One watcher at a time reads it; it holds nothing that the sources cannot give back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sources: dict[tuple[Any, ...], Source] = {}
        self._pairs: tuple[_Key, Pairs] | None = None
        self._labels: tuple[tuple[str, str, str, LabelWindow], Labels] | None = None
        self._errors: tuple[object, int] = (None, 0)

    def read(self, route: Route, *, since: float, labels: LabelWindow | None = None) -> Reading:
        """All counters of the route's versions now; pairs of requests received after `since` (seconds since the epoch)."""
        missing: list[str] = []
        champion = self._ask(lambda: self._evidence("champion", route.model, route.champion))
        candidate = self._ask(lambda: self._evidence("candidate", route.model, route.candidate))
        counted = self._ask(lambda: self._gateway(route))
        old = _got(champion, f"champion {route.champion.version}", missing)
        new = _got(candidate, "candidate" + (f" {route.candidate.version}" if route.candidate else ""), missing)
        seen = _got(counted, "gateway", missing)
        taken_at = time.time()
        pairs = self._paired(route, since, old, new, missing)
        return Reading(
            taken_at=taken_at,
            champion=old.answer if old else None,
            candidate=new.answer if new else None,
            pairs=pairs,
            gateway=seen,
            mirror=new.mirror if new else None,
            labels=self._labelled(route, labels, taken_at, missing),
            missing=tuple(missing),
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(3, thread_name_prefix="meter")

    def _ask(self, question: Callable[[], T]) -> Future[T]:
        return self._pool.submit(question)

    def _evidence(self, role: str, model: str, target: Target | None) -> Evidence | None:
        if target is None:
            return None
        written = self._settings.predictions / model / target.version / EVIDENCE_FILE
        return evidence(self._source(role, target.host, target.port, EVIDENCE_TIMEOUT_S), model, target, written)

    def _gateway(self, route: Route) -> GatewayCounters:
        """A wrong request looks like an error until the champion has refused it too: the errors must not seem to shrink then."""
        now = gateway(self._source("gateway", "127.0.0.1", self._settings.gateway_admin_port), route)
        key = (route.model, now.started_at)
        if self._errors[0] == key:
            now = replace(now, candidate_errors=max(self._errors[1], now.candidate_errors))
        self._errors = (key, now.candidate_errors)
        return now

    def _source(self, *key: Any) -> Source:
        """The connection of a role (they are used at the same time) to a host and port."""
        if key not in self._sources:
            self._sources[key] = Source(*key[1:])
        return self._sources[key]

    def _paired(
        self, route: Route, since: float, old: Evidence | None, new: Evidence | None, missing: list[str]
    ) -> PairCounters | None:
        if route.candidate is None:
            return None
        pairs = self._pairs_of(route, route.candidate, since, new or old)
        if pairs is None:
            missing.append("pairs: no server tells the range of the scores")
            return None
        try:
            return pairs.read()
        except OSError as e:
            missing.append(f"pairs: {e}")
            return None

    def _pairs_of(self, route: Route, candidate: Target, since: float, told: Evidence | None) -> Pairs | None:
        """The pairs being joined; begun anew for other versions, another time, or another range of the scores."""
        same = (route.model, route.champion.version, candidate.version, since)
        if self._pairs is not None and self._pairs[0][:4] == same and (told is None or told.score_range == self._pairs[0][4]):
            return self._pairs[1]
        if told is None:
            return None
        logs = self._settings.predictions / route.model
        pairs = Pairs(logs / route.champion.version, logs / candidate.version, since, told.score_range)
        self._pairs = ((*same, told.score_range), pairs)
        return pairs

    def _labelled(self, route: Route, window: LabelWindow | None, now: float, missing: list[str]) -> LabelCounters | None:
        if window is None or route.candidate is None:
            return None
        key = (route.model, route.champion.version, route.candidate.version, window)
        if self._labels is None or self._labels[0] != key:
            batches, logs = self._settings.data / route.model / "batches", self._settings.predictions / route.model
            self._labels = (key, Labels(batches, logs, key[1], key[2], window))
        try:
            return self._labels[1].read(now)
        except (OSError, pa.ArrowException) as e:
            missing.append(f"labels: {e}")
            return None


def _got(answer: "Future[T]", name: str, missing: list[str]) -> T | None:
    try:
        return answer.result()
    except UnavailableError as e:
        missing.append(f"{name}: {e}")
        return None
