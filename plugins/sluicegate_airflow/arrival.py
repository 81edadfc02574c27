"""Watches the landing area of a model from the triggerer and fires once for every new whole file."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sluicegate.settings import Settings

AGAIN_AFTER = 600.0
"""Seconds after which a file that nobody has taken is told again: an event may get lost, a file may not."""

Seen = dict[str, tuple[int, int]]
"""name → (size, modification time in ns)"""


class LandingTrigger(BaseEventTrigger):
    """Polls landing/<model>/. After a restart the files still waiting are told again; ingest takes each exactly once.

    Parameters
    ----------
    model : str
    every : float
        Seconds between two looks. A file counts as whole when two looks see the same size and time.
    """

    def __init__(self, model: str, every: float = 1.0) -> None:
        super().__init__()
        self.model, self.every = model, every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"model": self.model, "every": self.every}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        folder = Settings.from_environment().landing / self.model
        before: Seen = {}
        told: dict[tuple[str, int, int], float] = {}
        while True:
            now = await asyncio.to_thread(look, folder)
            whole = {(name, *mark) for name, mark in now.items() if before.get(name) == mark}
            told = {file: at for file, at in told.items() if file[0] in now}
            fresh = sorted(f for f in whole if time.monotonic() - told.get(f, -AGAIN_AFTER) >= AGAIN_AFTER)
            if fresh:
                told |= dict.fromkeys(fresh, time.monotonic())
                yield TriggerEvent({"model": self.model, "files": [f[0] for f in fresh]})
            before = now
            await asyncio.sleep(self.every)


def look(folder: Path) -> Seen:
    """Files of the landing area now; hidden ones are still being written, and an absent folder is empty."""
    found: Seen = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # taken between listing and looking
                if entry.is_file() and not entry.name.startswith("."):
                    stat = entry.stat()
                    found[entry.name] = (stat.st_size, stat.st_mtime_ns)
    return found
