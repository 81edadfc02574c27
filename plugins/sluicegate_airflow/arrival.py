"""Watches the landing area of a model from the triggerer and fires once for every new whole file."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sluicegate.ports import Ports
from sluicegate.wiring import wire

AGAIN_AFTER = 600.0
"""Seconds after which a file that nobody has taken is told again: an event may get lost, a file may not."""

Seen = dict[str, tuple[int, int]]
"""name → (size, modification time in ns)"""
File = tuple[str, int, int]


class LandingTrigger(BaseEventTrigger):
    """Polls landing/<model>/. After a restart the files still waiting are told again; ingest takes each exactly once.

    Parameters
    ----------
    model : str
    every : float
        Seconds between two looks. A file is whole when two looks see the same size and time and nobody writes it any more.
    """

    def __init__(self, model: str, every: float = 1.0) -> None:
        super().__init__()
        self.model, self.every = model, every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"model": self.model, "every": self.every}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        ports = await asyncio.to_thread(wire)
        before: Seen = {}
        told: dict[File, float] = {}
        while True:
            now = await asyncio.to_thread(look, ports.settings.landing / self.model)
            still = {(name, *mark) for name, mark in now.items() if before.get(name) == mark}
            told = {file: at for file, at in told.items() if file[0] in now}
            fresh = {file for file in still if time.monotonic() - told.get(file, -AGAIN_AFTER) >= AGAIN_AFTER}
            whole = await asyncio.to_thread(self._whole, ports, fresh) if fresh else []
            if whole:
                told |= dict.fromkeys(whole, time.monotonic())
                yield TriggerEvent({"model": self.model, "files": [name for name, *_ in whole]})
            before = now
            await asyncio.sleep(self.every)

    def _whole(self, ports: Ports, files: Iterable[File]) -> list[File]:
        """Those that ingest would take now: asked only when there is something new, because the answer reads every byte."""
        waiting = {arrival.name for arrival in ports.landing.waiting(self.model)}
        return sorted(f for f in files if f[0] in waiting or not f[0].isprintable())


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
