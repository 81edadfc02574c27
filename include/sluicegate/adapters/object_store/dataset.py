"""Committed batches and snapshots of a model: data/<model>/batches/ and data/<model>/snapshots/."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.adapters.object_store.shelf import Shelf
from sluicegate.errors import RefusedError
from sluicegate.folders import child


class ObjectDataset:
    """Implements the Dataset port. A batch's report travels in its marker, so that a list of batches fetches no files."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def commit(self, model: str, batch_id: str, folder: Path) -> bool:
        kind = _kind(model, "batches")
        child(folder, batch_id)  # a name that leads elsewhere is refused before anything is read
        return self._shelf.commit(kind, batch_id, folder, json.loads((folder / "report.json").read_text()))

    def batches(self, model: str) -> list[Mapping[str, Any]]:
        return [marker.note for _, marker in sorted(self._shelf.markers(_kind(model, "batches")).items())]

    def batch(self, model: str, batch_id: str) -> Path:
        return self._existing(model, "batches", batch_id, "batch", "land its file and commit it first")

    def keep(self, model: str, snapshot_id: str, folder: Path) -> bool:
        return self._shelf.commit(_kind(model, "snapshots"), snapshot_id, folder)

    def snapshot(self, model: str, snapshot_id: str) -> Path:
        return self._existing(model, "snapshots", snapshot_id, "snapshot", "make it with the order 'snapshot'")

    def _existing(self, model: str, what: str, name: str, word: str, remedy: str) -> Path:
        folder = self._shelf.fetch(_kind(model, what), name)
        if folder is None:
            raise RefusedError(f"model '{model}' has no {word} '{name}' under {what}/: {remedy}")
        return folder


def _kind(model: str, what: str) -> str:
    return f"data/{child(Path(), model)}/{what}"
