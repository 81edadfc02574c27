"""Labels: outcomes from the committed batches of the Dataset; how many are due, from what the servers say they answered.

A look costs as much as the batches that are new. A fresh instance comes to the same counts.
"""

import pyarrow.parquet as pq

from sluicegate.actions.ingest.known import EARLIER_S, KnownOutcomes
from sluicegate.adapters.promql_meter import queries
from sluicegate.adapters.promql_meter.prometheus import Prometheus
from sluicegate.domain.evidence import LabelCounters
from sluicegate.ports import Dataset
from sluicegate.ports.meter import LabelWindow

MOST_OFTEN_S = 60.0
"""How many are due is asked no more often, or at a hundredth of the time that an outcome may take: the question walks all of it."""


class Labels:
    """Outcomes of what champion and candidate of a model have answered in a rollout, to users and to copies."""

    def __init__(
        self,
        dataset: Dataset,
        prometheus: Prometheus,
        namespace: str,
        model: str,
        champion: str,
        candidate: str,
        window: LabelWindow,
    ) -> None:
        self._dataset, self._prometheus, self._namespace = dataset, prometheus, namespace
        self._model, self._versions, self._window = model, (champion, candidate), window
        self._opened: set[str] = set()
        self._known = KnownOutcomes(champion, candidate, window)
        self._due, self._due_at = 0, 0.0

    def read(self, now: float) -> LabelCounters:
        """Take in the batches that are new and count; UnavailableError or OSError when something cannot be read."""
        for report in self._dataset.batches(self._model):
            name = str(report["batch_id"])
            if name not in self._opened:
                if report.get("arrived_at", now) >= self._window.since - EARLIER_S:
                    self._open(name)
                self._opened.add(name)
        self._count_due(now)
        return self._known.counted(self._due)

    def _open(self, name: str) -> None:
        path = self._dataset.batch(self._model, name) / "outcomes.parquet"
        if path.is_file():  # a batch of a version of before outcomes were kept knows none
            self._known.take(pq.read_table(path))

    def _count_due(self, now: float) -> None:
        """Answers to users since the rollout's start that are so old that their outcome should be known; never fewer than before."""
        within = self._window.gate.within
        if now - within <= self._window.since or now - self._due_at < min(MOST_OFTEN_S, within / 100):
            return
        span = (self._window.since, now - within)
        asked = (queries.answered(self._namespace, self._model, version, *span) for version in self._versions)
        vectors = [self._prometheus.query(question) for question in asked]
        answered = sum(s.value for v in vectors for s in v.samples if s.labels.get("fact") == "answered")
        self._due, self._due_at = max(self._due, round(answered)), now
