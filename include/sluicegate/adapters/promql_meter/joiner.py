"""The joiner: pairs what two versions of a model said to the same request, and tells Prometheus. One process for a namespace.

It needs to be told nothing: Prometheus knows the pods of each version, and a version that answers copies is a candidate. It holds
no more than the answers of some seconds; a joiner that starts anew counts from zero and says so.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

from sluicegate.adapters.promql_meter import answers, queries
from sluicegate.adapters.promql_meter.pairs import ROLE, ROWS
from sluicegate.adapters.promql_meter.prometheus import Sample, prometheus
from sluicegate.domain.pairing import Line, Pairing
from sluicegate.serving.evidence_page import EvidencePage, Labels, Row
from sluicegate.serving.watched import process_name
from sluicegate.settings import Settings

TARGETS_EVERY_S = 1.0
UNREAD_S = 2.0
"""A pod that was not read to its end for so long is told as unread."""
LATE_S = 2.0
"""Answers of several pods may come in out of order by this much."""


class Pod(NamedTuple):
    """A target of Prometheus."""

    model: str
    version: str
    address: str


class Couple(NamedTuple):
    """Two versions of a model: who answers users, and who answers copies."""

    model: str
    champion: str
    candidate: str


class Joiner:
    """Call `look` often, from one thread; `page` may be asked from others."""

    def __init__(self, settings: Settings, clock: answers.Clock = time.time) -> None:
        self._prometheus, self._clock, self._namespace = prometheus(settings), clock, settings.namespace
        self._started_at, self._asked_at = clock(), 0.0
        self._process: Labels = (("process", process_name(self._started_at)),)
        self._connections, self._threads = answers.pool(), ThreadPoolExecutor(8, thread_name_prefix="joiner")
        self._pods: dict[Pod, answers.PodAnswers] = {}
        self._pairings: dict[Couple, Pairing] = {}
        self._lock, self._text = Lock(), EvidencePage()

    def look(self) -> None:
        """Read what was answered meanwhile and pair it. UnavailableError when Prometheus is silent; known pods are read on."""
        sources = list(self._pods.items())
        told = self._threads.map(lambda entry: entry[1].read(), sources)
        lines: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for (pod, _), new in zip(sources, told, strict=True):
            lines[pod.model, pod.version] += new
        with self._lock:
            self._pair(lines)
        if self._clock() - self._asked_at >= TARGETS_EVERY_S:
            self._asked_at = self._clock()
            targets = self._prometheus.query(queries.servers(self._namespace)).samples
            self._find({_pod(s): s.value for s in targets if s.labels["fact"] == "up"})

    def page(self) -> bytes:
        """The pairs of every couple and the facts of this process, for Prometheus."""
        with self._lock:
            return self._text.text(self._rows(), self._facts())

    def _find(self, up: Mapping[Pod, float]) -> None:
        """Follow the pods of every model that has more than one version; a pod that is starting has answered nothing yet."""
        versions: dict[str, set[str]] = defaultdict(set)
        for pod in up:
            versions[pod.model].add(pod.version)
        wanted = [pod for pod, value in up.items() if len(versions[pod.model]) > 1 and (value == 1 or pod in self._pods)]
        with self._lock:
            self._pods = {p: self._pods.get(p) or answers.PodAnswers(*p, self._connections, self._clock) for p in wanted}
            gone = [c for c in self._pairings if not {c.champion, c.candidate} <= versions[c.model]]
            for couple in gone:
                del self._pairings[couple]

    def _pair(self, lines: Mapping[tuple[str, str], list[Line]]) -> None:
        """A couple is known from its first copy on."""
        for (model, candidate), said in lines.items():
            for other, champion in lines:
                couple = Couple(model, champion, candidate)
                if other != model or champion == candidate or not (couple in self._pairings or _copies(said)):
                    continue
                pairing = self._pairings.setdefault(couple, Pairing(self._started_at, self._range(model, candidate)))
                for line in lines[model, champion]:
                    pairing.champion_said(line)
                for line in said:
                    pairing.candidate_said(line)
                pairing.forget(self._clock() - LATE_S, self._clock() - LATE_S)

    def _range(self, model: str, version: str) -> tuple[float, float]:
        return next(source.score_range for pod, source in self._pods.items() if (pod.model, pod.version) == (model, version))

    def _rows(self) -> Iterator[Row]:
        for couple, pairing in self._pairings.items():
            counted = pairing.counted()
            labels = (("role", ROLE), *couple._asdict().items())
            if sum(counted.pairs):
                yield from (((*labels, ("row", name)), list(getattr(counted, name))) for name in ROWS)

    def _facts(self) -> Iterator[tuple[Labels, float]]:
        now = self._clock()
        for name, value in (("taken_at", now), ("started_at", self._started_at)):
            yield (*self._process, ("fact", name)), value
        for model, version in {(pod.model, pod.version) for pod in self._pods}:
            sources = [source for pod, source in self._pods.items() if (pod.model, pod.version) == (model, version)]
            unread = sum(now - source.read_at > UNREAD_S and not source.ending for source in sources)
            for name, count in (("unread", unread), ("lost", sum(source.lost for source in sources))):
                yield (*self._process, ("fact", name), ("model", model), ("version", version)), count


def _pod(sample: Sample) -> Pod:
    labels = sample.labels
    return Pod(labels.get("model", ""), labels.get("version", ""), labels.get("instance", ""))


def _copies(lines: list[Line]) -> bool:
    return any(line.role == "mirror" for line in lines)
