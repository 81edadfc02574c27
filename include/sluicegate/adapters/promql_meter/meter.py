"""One reading: one question for each source, all asked at once; what is silent, old or not whole is None and named."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

import pyarrow as pa

from sluicegate.adapters.promql_meter import gateway, queries
from sluicegate.adapters.promql_meter.arms import Arms, arms
from sluicegate.adapters.promql_meter.labels import Labels
from sluicegate.adapters.promql_meter.pairs import pairs
from sluicegate.adapters.promql_meter.prometheus import TIMEOUT_S, prometheus
from sluicegate.adapters.promql_meter.table import table
from sluicegate.domain.evidence import GatewayCounters, LabelCounters, PairCounters, Reading
from sluicegate.domain.route import Route
from sluicegate.errors import SluicegateError, UnavailableError
from sluicegate.ports import Dataset
from sluicegate.ports.meter import LabelWindow
from sluicegate.settings import Settings

COUNTED_BY_ENVOY = ("envoy", "gateway-api")
"""Routers whose data plane is Envoy, ours or Envoy Gateway's."""
T = TypeVar("T")


class PromqlMeter:
    """Implements the Meter port. It holds nothing that Prometheus cannot give back: any watcher reads the same.

    Parameters
    ----------
    patience : seconds; what Prometheus has not answered by then is missing from the reading.
    """

    def __init__(self, settings: Settings, dataset: Dataset, patience: float = TIMEOUT_S) -> None:
        self._settings, self._prometheus, self._dataset = settings, prometheus(settings, patience), dataset
        self._labels: tuple[tuple[str, str, str, LabelWindow], Labels] | None = None

    def read(self, route: Route, *, since: float, labels: LabelWindow | None = None) -> Reading:
        """All counters of the route's versions now. The joiner counts pairs since it started; a stage is a difference."""
        missing: list[str] = []
        taken_at = time.time()
        old = self._ask(lambda: self._arms(route.model, route.champion.version))
        new = self._ask(lambda: None if route.candidate is None else self._arms(route.model, route.candidate.version))
        paired = self._ask(lambda: self._pairs(route))
        counted = self._ask(lambda: self._gateway(route))
        champion = _got(old, f"champion {route.champion.version}", missing)
        candidate = _got(new, "candidate" + (f" {route.candidate.version}" if route.candidate else ""), missing)
        return Reading(
            taken_at=taken_at,
            champion=champion.answer if champion else None,
            candidate=candidate.answer if candidate else None,
            pairs=_got(paired, "pairs", missing),
            gateway=self._seen(route, _got(counted, "gateway", missing), champion, candidate),
            mirror=candidate.mirror if candidate else None,
            labels=self._labelled(route, labels, taken_at, missing),
            missing=tuple(missing),
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(4, thread_name_prefix="meter")

    def _ask(self, question: Callable[[], T]) -> "Future[T]":
        return self._pool.submit(question)

    def _arms(self, model: str, version: str) -> Arms:
        return arms(table(self._prometheus.query(queries.evidence(self._settings.namespace, model, version))))

    def _pairs(self, route: Route) -> PairCounters | None:
        if route.candidate is None:
            return None
        versions = (route.champion.version, route.candidate.version)
        question = queries.pairs(self._settings.namespace, route.model, *versions)
        return pairs(table(self._prometheus.query(question)))

    def _gateway(self, route: Route) -> GatewayCounters | None:
        if self._settings.router not in COUNTED_BY_ENVOY:
            return None
        return gateway.from_envoy(self._prometheus.query(gateway.question(route, self._settings)), route, self._settings)

    def _seen(
        self, route: Route, counted: GatewayCounters | None, champion: Arms | None, candidate: Arms | None
    ) -> GatewayCounters | None:
        """Where no gateway's counters can be had the servers' own are all that is known."""
        if self._settings.router in COUNTED_BY_ENVOY or champion is None or (candidate is None and route.candidate is not None):
            return counted
        return gateway.from_servers(champion, candidate)

    def _labelled(self, route: Route, window: LabelWindow | None, now: float, missing: list[str]) -> LabelCounters | None:
        if window is None or route.candidate is None:
            return None
        key = (route.model, route.champion.version, route.candidate.version, window)
        if self._labels is None or self._labels[0] != key:
            self._labels = (key, Labels(self._dataset, self._prometheus, self._settings.namespace, *key))
        try:
            return self._labels[1].read(now)
        except (SluicegateError, OSError, pa.ArrowException) as e:
            missing.append(f"labels: {e}")
            return None


def _got(answer: "Future[T]", name: str, missing: list[str]) -> T | None:
    try:
        return answer.result()
    except UnavailableError as e:
        missing.append(f"{name}: {e}")
        return None
