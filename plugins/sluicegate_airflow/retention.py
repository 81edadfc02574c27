"""The wait between a promotion and the retirement of the old champion, without a worker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseSensorOperator, Context, SkipMixin
from airflow.triggers.base import BaseTrigger, TriggerEvent

from sluicegate.domain.rollout import Rollout
from sluicegate.ports import Ports
from sluicegate.wiring import wire
from sluicegate_airflow.errors import told
from sluicegate_airflow.gates import POOL
from sluicegate_airflow.rollout import ROLLOUT

TAKEN_BACK = "the old champion was re-instated"


class RetentionSensor(BaseSensorOperator, SkipMixin):
    """Keeps the old champion warm for `retention` seconds after the promotion, or until a newer candidate waits for its turn.

    When it was re-instated meanwhile there is nothing to retire: the rest of the run is skipped.
    """

    template_fields = ("rollout_id",)
    inherits_from_skipmixin = True
    ui_color = "#d0e0e3"

    def __init__(self, *, model: str, retention: float, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(**{"pool": POOL, **kwargs})
        self.model, self.retention, self.rollout_id = model, retention, rollout_id

    def execute(self, context: Context) -> None:
        from sluicegate.actions.release import rollout

        with told():
            ended = rollout(wire(), self.model, self.rollout_id).ended_at or 0.0
        self.defer(trigger=RetentionTrigger(self.model, self.rollout_id, ended + self.retention), method_name="over")

    def over(self, context: Context, event: str) -> None:
        """Called with the reason why the wait is over."""
        self.log.info("retention is over: %s", event)
        if event == TAKEN_BACK:
            self.skip(context["ti"], self.downstream_list)


class RetentionTrigger(BaseTrigger):
    """Fires at `until` (seconds since the epoch), or as soon as a newer version is registered for release."""

    def __init__(self, model: str, rollout_id: str, until: float, every: float = 2.0) -> None:
        super().__init__()
        self.model, self.rollout_id, self.until, self.every = model, rollout_id, until, every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        facts = ("model", "rollout_id", "until", "every")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in facts}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        ports = await asyncio.to_thread(wire)
        while True:
            left = self.until - ports.clock.now()
            state = await asyncio.to_thread(self._rollout, ports)
            if state.reinstated or state.retired:
                yield TriggerEvent(TAKEN_BACK if state.reinstated else "somebody has retired it already")
                return
            newer = await asyncio.to_thread(self._newer, ports, state)
            if newer is not None:
                yield TriggerEvent(f"version {newer} waits to be released; its champion is kept warm from now on")
                return
            if left <= 0:
                yield TriggerEvent("the time is up")
                return
            await asyncio.sleep(min(left, self.every))

    def _rollout(self, ports: Ports) -> Rollout:
        from sluicegate.actions.release import rollout

        return rollout(ports, self.model, self.rollout_id)

    def _newer(self, ports: Ports, state: Rollout) -> str | None:
        from sluicegate.actions.release import newer_candidate

        return newer_candidate(ports, state)
