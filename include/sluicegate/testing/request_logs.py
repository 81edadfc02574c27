"""Logged requests of a world that a test writes: files of its own, handed out by name."""

import shutil
from pathlib import Path

from sluicegate.domain.landed import check_landing
from sluicegate.settings import Settings


class WrittenRequests:
    """Implements the RequestLogs port over the folders in which tests, like servers, leave their logs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def served(self, model: str) -> list[Path]:
        return sorted(path for path in self._settings.predictions.rglob("*.jsonl") if path.parent.parent.name == model)

    def history(self, model: str) -> list[Path]:
        folder = self._settings.data / model / "history"
        return sorted(path for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []

    def keep(self, model: str, source: Path) -> None:
        check_landing(source.name)
        folder = self._settings.data / model / "history"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
