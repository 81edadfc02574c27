"""Labels: what the answers of two versions turned out to be, from the outcomes that ingest keeps with every committed batch.

Everything follows from the batches and the prediction logs, so a fresh instance comes to the same counts. A look costs as much as the
batches that are new and the answers that have just become old enough, not as much as what was there before.
"""

from pathlib import Path

import pyarrow.parquet as pq

from sluicegate.actions.ingest.known import EARLIER_S, KnownOutcomes
from sluicegate.adapters.local_meter.tail import Matured
from sluicegate.domain.evidence import LabelCounters
from sluicegate.ports.meter import LabelWindow


class Labels:
    """Outcomes of what champion and candidate have answered in a rollout, to users and to copies.

    Parameters
    ----------
    batches : folder of the committed batches.
    logs : folder of the model's prediction logs, one folder a version.
    """

    def __init__(self, batches: Path, logs: Path, champion: str, candidate: str, window: LabelWindow) -> None:
        self._batches, self._window = batches, window
        self._due = tuple(Matured(logs / version, window.since) for version in (champion, candidate))
        self._opened: set[str] = set()
        self._known = KnownOutcomes(champion, candidate, window)

    def read(self, now: float) -> LabelCounters:
        """Take in the batches that are new and count; OSError when something cannot be read."""
        for folder in self._new():
            self._known.take(pq.read_table(folder / "outcomes.parquet"))
            self._opened.add(folder.name)
        return self._known.counted(sum(log.until(now - self._window.gate.within) for log in self._due))

    def _new(self) -> list[Path]:
        """Batches not seen yet that may know something, in the order in which they were written."""
        found = []
        for folder in self._batches.glob("[!.]*"):
            path = folder / "outcomes.parquet"
            if folder.name in self._opened:
                continue
            written = path.stat().st_mtime if path.is_file() else 0.0  # a batch never changes: what has none will have none
            if written >= self._window.since - EARLIER_S:
                found.append((written, folder))
            else:
                self._opened.add(folder.name)
        return [folder for _, folder in sorted(found)]
