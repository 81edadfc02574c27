"""Committed batches and snapshots of one model's labelled data. Both are immutable and content-addressed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Dataset(Protocol):
    def commit(self, model: str, batch_id: str, folder: Path) -> bool:
        """Publish a batch (accepted.parquet, quarantined.parquet, report.json) atomically; False when it already was."""
        ...

    def batches(self, model: str) -> list[Mapping[str, Any]]:
        """Reports (report.json) of the committed batches, ordered by batch id."""
        ...

    def batch(self, model: str, batch_id: str) -> Path:
        """Folder of a committed batch; RefusedError when there is none."""
        ...

    def keep(self, model: str, snapshot_id: str, folder: Path) -> bool:
        """Publish a snapshot (data.parquet, manifest.json) atomically; False when it already was."""
        ...

    def snapshot(self, model: str, snapshot_id: str) -> Path:
        """Folder of a kept snapshot; RefusedError when there is none."""
        ...
