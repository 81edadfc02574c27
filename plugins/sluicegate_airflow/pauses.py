"""The wait while a person holds a rollout between two stages, without a worker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sluicegate.errors import UnavailableError
from sluicegate.ports import Ports
from sluicegate.wiring import wire


class PauseTrigger(BaseTrigger):
    """Fires when the rollout is resumed, or has ended.

    It renews no lease: nobody judges between two stages, so the guard gives a weight that is held there back to the champion.
    """

    def __init__(self, model: str, rollout_id: str, every: float = 1.0) -> None:
        super().__init__()
        self.model, self.rollout_id, self.every = model, rollout_id, every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        facts = ("model", "rollout_id", "every")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in facts}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        ports = await asyncio.to_thread(wire)
        while await asyncio.to_thread(self._held, ports):
            await asyncio.sleep(self.every)
        yield TriggerEvent("resumed")

    def _held(self, ports: Ports) -> bool:
        from sluicegate.actions.release import rollout

        try:
            state = rollout(ports, self.model, self.rollout_id)
        except UnavailableError as e:
            self.log.warning("cannot look: %s", e)
            return True
        return state.open and state.cut_at is None and state.paused_at is not None
