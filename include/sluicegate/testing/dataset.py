"""A dataset that remembers what was published; the files are copied under a folder, since readers want files."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.errors import RefusedError


class MemoryDataset:
    """Implements the Dataset port."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[tuple[str, str, str], Path] = {}

    def commit(self, model: str, batch_id: str, folder: Path) -> bool:
        return self._publish(("batch", model, batch_id), folder)

    def batches(self, model: str) -> list[Mapping[str, Any]]:
        mine = sorted((key[2], path) for key, path in self._known.items() if key[:2] == ("batch", model))
        return [json.loads((path / "report.json").read_text()) for _, path in mine]

    def batch(self, model: str, batch_id: str) -> Path:
        return self._found(("batch", model, batch_id))

    def keep(self, model: str, snapshot_id: str, folder: Path) -> bool:
        return self._publish(("snapshot", model, snapshot_id), folder)

    def snapshot(self, model: str, snapshot_id: str) -> Path:
        return self._found(("snapshot", model, snapshot_id))

    def _publish(self, key: tuple[str, str, str], folder: Path) -> bool:
        if key in self._known:
            return False
        place = self._root / "-".join(key)
        shutil.copytree(folder, place)
        self._known[key] = place
        return True

    def _found(self, key: tuple[str, str, str]) -> Path:
        if key not in self._known:
            raise RefusedError(f"model '{key[1]}' has no {key[0]} '{key[2]}'")
        return self._known[key]
