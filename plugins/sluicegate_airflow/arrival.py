"""Watches the landing area of a model from the triggerer and fires once for every new whole file."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sluicegate.errors import UnavailableError
from sluicegate.ports import Ports
from sluicegate.wiring import wire

AGAIN_AFTER = 600.0
"""Seconds after which a file that nobody has taken is told again: an event may get lost, a file may not."""

File = tuple[str, str]
"""Name, and the mark that changes when the file does."""


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
        before: Mapping[str, str] = {}
        told: dict[File, float] = {}
        while True:
            whole: list[str] = []
            try:
                before, whole = await asyncio.to_thread(self._look, ports, before, told)
            except UnavailableError as e:
                self.log.warning("%s", e)  # what waits there waits until it answers again
            if whole:
                yield TriggerEvent({"model": self.model, "files": whole})
            await asyncio.sleep(self.every)

    def _look(self, ports: Ports, before: Mapping[str, str], told: dict[File, float]) -> tuple[Mapping[str, str], list[str]]:
        """What is there now, and the whole files among it that were not told yet; notes in `told` that they are."""
        now = ports.landing.look(self.model)
        for gone in [file for file in told if file[0] not in now]:
            del told[gone]
        still = {(name, mark) for name, mark in now.items() if before.get(name) == mark}
        fresh = {file for file in still if time.monotonic() - told.get(file, -AGAIN_AFTER) >= AGAIN_AFTER}
        whole = self._whole(ports, fresh) if fresh else []
        told.update(dict.fromkeys(whole, time.monotonic()))
        return now, [name for name, _ in whole]

    def _whole(self, ports: Ports, files: Iterable[File]) -> list[File]:
        """Those that ingest would take now: asked only when there is something new, because the answer reads every byte."""
        waiting = {arrival.name for arrival in ports.landing.waiting(self.model)}
        return sorted(f for f in files if f[0] in waiting)
