"""What Prometheus reads: the counters as they stand, made into metrics at the scrape, so that a request pays nothing for them."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.serving.counters import LATENCY_BOUNDS_S, Counters
from sluicegate.serving.http import Connections
from sluicegate.serving.service import Service, memory_bytes

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Take = Callable[[Counters], float]
TakeMany = Callable[[Counters], tuple[list[int], float]]
_COMMON = ("model", "version")
CONTENT_TYPE = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"


class Metrics(Collector):
    """All metrics of one server, with the labels model and version."""

    def __init__(self, service: Service, connections: Connections) -> None:
        self._service, self._connections = service, connections
        self._common = (service.model.manifest.model, service.version)
        self._low, self._high = service.model.manifest.score_range
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition format of now."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        service = self._service
        yield self._counter("requests", "Requests answered, with a score or the model's own error", lambda c: c.requests)
        yield self._counter("errors", "Requests that the model failed to answer", lambda c: c.errors)
        yield self._counter("decisions", "Requests whose decision was positive", lambda c: c.decisions)
        yield self._histogram("latency_seconds", "Time to the answer", LATENCY_BOUNDS_S, lambda c: (c.latencies, c.latency_sum))
        step = (self._high - self._low) / SCORE_BINS
        bounds = [self._low + step * (n + 1) for n in range(SCORE_BINS - 1)]
        yield self._histogram("score", "Scores given", bounds, lambda c: (c.histogram, c.score_sum))
        yield self._counter("busy_seconds", "Time the handler was busy with the requests", lambda c: c.busy)
        yield self._counter("handler_cpu_seconds", "Processor time of the handler for the requests", lambda c: c.cpu)
        refused = CounterMetricFamily("sluicegate_refused", "Wrong requests, not the model's errors", labels=(*_COMMON, "status"))
        for status, count in service.refused.items():
            refused.add_metric((*self._common, str(status)), count)
        yield refused
        yield self._plain(CounterMetricFamily, "prediction_log_lines", "Lines flushed", service.log.written)
        yield self._plain(CounterMetricFamily, "prediction_log_dropped", "Lines lost", service.log.dropped)
        yield self._plain(GaugeMetricFamily, "in_flight", "Requests begun and not answered", self._connections.in_flight)
        yield self._plain(GaugeMetricFamily, "connections", "Open connections", len(self._connections.open))
        yield self._plain(CounterMetricFamily, "process_cpu_seconds", "Processor time of the whole process", time.process_time())
        if (memory := memory_bytes()) is not None:
            yield self._plain(GaugeMetricFamily, "resident_memory_bytes", "Resident memory", memory)
        yield self._plain(GaugeMetricFamily, "started_at", "Start, seconds since the epoch", service.started_at)

    def _counter(self, name: str, text: str, value: Take) -> CounterMetricFamily:
        family = CounterMetricFamily(f"sluicegate_{name}", text, labels=(*_COMMON, "role"))
        for role, counters in self._service.counters.items():
            family.add_metric((*self._common, role), value(counters))
        return family

    def _histogram(self, name: str, text: str, bounds: Iterable[float], value: TakeMany) -> HistogramMetricFamily:
        family = HistogramMetricFamily(f"sluicegate_{name}", text, labels=(*_COMMON, "role"))
        edges = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        for role, counters in self._service.counters.items():
            counts, total = value(counters)
            buckets = [(edge, float(count)) for edge, count in zip(edges, accumulate(counts), strict=True)]
            family.add_metric((*self._common, role), buckets, total)
        return family

    def _plain(self, family: type[CounterMetricFamily] | type[GaugeMetricFamily], name: str, text: str, value: float) -> Family:
        made = family(f"sluicegate_{name}", text, labels=_COMMON)
        made.add_metric(self._common, value)
        return made
