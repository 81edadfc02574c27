"""Logged requests in folders: predictions/<model>/<version>/*.jsonl, where servers write, and data/<model>/history/."""

import shutil
from pathlib import Path

from sluicegate.domain.landed import check_landing
from sluicegate.folders import child
from sluicegate.settings import Settings


class FolderRequests:
    """Implements the RequestLogs port."""

    def __init__(self, settings: Settings) -> None:
        self._predictions, self._data = settings.predictions, settings.data

    def served(self, model: str) -> list[Path]:
        return sorted(child(self._predictions, model).glob("*/*.jsonl"))

    def history(self, model: str) -> list[Path]:
        return sorted((child(self._data, model) / "history").glob("[!.]*"))

    def keep(self, model: str, source: Path) -> None:
        check_landing(source.name)
        folder = child(self._data, model) / "history"
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{source.name}"
        shutil.copyfile(source, fresh)
        fresh.replace(folder / source.name)
