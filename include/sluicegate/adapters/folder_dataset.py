"""Committed batches and snapshots in a local folder: data/<model>/batches/<id>/ and data/<model>/snapshots/<id>/."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.errors import RefusedError
from sluicegate.folders import child, publish
from sluicegate.settings import Settings


class FolderDataset:
    """Implements the Dataset port."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.data

    def commit(self, model: str, batch_id: str, folder: Path) -> bool:
        return publish(folder, self._place(model, "batches", batch_id))

    def batches(self, model: str) -> list[Mapping[str, Any]]:
        folders = sorted(p.parent for p in (child(self._root, model) / "batches").glob("[!.]*/report.json"))
        return [json.loads((folder / "report.json").read_text()) for folder in folders]

    def batch(self, model: str, batch_id: str) -> Path:
        return self._existing(model, "batches", batch_id, "batch", "land its file and commit it first")

    def keep(self, model: str, snapshot_id: str, folder: Path) -> bool:
        return publish(folder, self._place(model, "snapshots", snapshot_id))

    def snapshot(self, model: str, snapshot_id: str) -> Path:
        return self._existing(model, "snapshots", snapshot_id, "snapshot", "make it with the order 'snapshot'")

    def _place(self, model: str, kind: str, name: str) -> Path:
        return child(child(self._root, model) / kind, name)

    def _existing(self, model: str, kind: str, name: str, word: str, remedy: str) -> Path:
        folder = self._place(model, kind, name)
        if not folder.is_dir():
            raise RefusedError(f"model '{model}' has no {word} '{name}' under {kind}/: {remedy}")
        return folder
