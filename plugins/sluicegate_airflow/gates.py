"""The gate between two stages: a sensor that waits without a worker while the triggerer looks at the evidence.

The trigger cuts nothing and renews nothing itself: `Watch.look` does both. A trigger that is moved, restarted or killed leaves
the traffic as it is; the lease takes the candidate's weight away when nobody looks any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, Context, SkipMixin
from airflow.triggers.base import BaseTrigger, TriggerEvent

from sluicegate.domain.spec import StageSpec
from sluicegate.errors import SluicegateError, UnavailableError
from sluicegate.ports import Ports
from sluicegate.wiring import wire
from sluicegate_airflow.rollout import ROLLOUT, author, between

if TYPE_CHECKING:
    from sluicegate.actions.release import Look
    from sluicegate.domain.notice import Notice

POOL = "gates"
TELL_EVERY = 10.0
"""Seconds between two progress lines that say the same."""
PAUSE = 0.5
"""Seconds before somebody who did not answer is asked again."""
HOLD_AT_MOST = timedelta(days=7)
"""How long people may hold a stage before it is taken back."""
WAITS_FOR = {
    "approval": " (waits for approval: run {model}_operate, or `python -m sluicegate approve {model}`)",
    "paused": " (a person has paused it: run {model}_operate, or `python -m sluicegate resume {model}`)",
    "deadline": " (the deadline is over: approve or abort it with {model}_operate or `python -m sluicegate`)",
}
"""What a held look waits for, by its `why`."""


class GateSensor(BaseSensorOperator, SkipMixin):
    """Goes on when the judge says PASS, skips to the task `revert` otherwise; fails, which reverts too, when nobody can look.

    Parameters
    ----------
    index : int
        Position of the watched stage in the plan.
    revert : str
        Task id of the way back.
    patience : timedelta
        After it the gate fails, should even the triggerer be dead.
    """

    template_fields = ("rollout_id",)
    inherits_from_skipmixin = True
    ui_color = "#ffe599"

    def __init__(
        self, *, model: str, index: int, revert: str, patience: timedelta, rollout_id: str = ROLLOUT, **kwargs: Any
    ) -> None:
        super().__init__(**{"pool": POOL, "retries": 0, **kwargs})
        self.model, self.index, self.revert = model, index, revert
        self.rollout_id, self.patience = rollout_id, patience

    def execute(self, context: Context) -> None:
        trigger = GateTrigger(self.model, self.rollout_id, self.index, author(context))
        self.defer(trigger=trigger, method_name="decided", timeout=self.patience)

    def decided(self, context: Context, event: dict[str, Any]) -> None:
        """Called with what the trigger fired."""
        self.log.info("stage %d: %s. %s", self.index, event["decision"], event["message"])
        context["ti"].xcom_push(key="return_value", value=event)
        if event["decision"] != "pass":
            self.skip(context["ti"], between(self, self.revert))


class GateTrigger(BaseTrigger):
    """Looks at a stage until it is decided and fires once: {decision, verdict, reason, message}."""

    def __init__(self, model: str, rollout_id: str, index: int, author: str) -> None:
        super().__init__()
        self.model, self.rollout_id, self.index, self.author = model, rollout_id, index, author
        self._announcing: set[asyncio.Task[None]] = set()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        facts = ("model", "rollout_id", "index", "author")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in facts}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            yield TriggerEvent(await self._watch())
        except SluicegateError as e:
            yield TriggerEvent({"decision": "crashed", "verdict": None, "reason": type(e).__name__, "message": str(e)})

    async def _watch(self) -> dict[str, Any]:
        ports = await asyncio.to_thread(wire)
        before = await self._patiently(lambda: self._decided_before(ports))
        if before is not None:
            return before
        watch = await self._patiently(lambda: self._open(ports))
        told = (0.0, "")
        while True:
            look: Look = await self._patiently(watch.look)
            if look.notice is not None:
                self._announcing.add(asyncio.create_task(asyncio.to_thread(self._announce, ports, look.notice)))
            if look.decided:
                return _event(look)
            told = self._tell(look, told)
            await asyncio.sleep(watch.look_every)

    async def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer: an outage decides nothing, and the lease ends the exposure that nobody watches."""
        while True:
            try:
                return await asyncio.to_thread(ask)
            except UnavailableError as e:
                self.log.warning("cannot look: %s", e)
                await asyncio.sleep(PAUSE)

    def _open(self, ports: Ports) -> Any:
        from sluicegate.actions.release import open_watch

        return open_watch(ports, self.model, self.rollout_id, self.index, author=self.author)

    def _decided_before(self, ports: Ports) -> dict[str, Any] | None:
        """The decision, when the journal has it but the event was lost with the triggerer that took it."""
        from sluicegate.actions.release import rollout

        state = rollout(ports, self.model, self.rollout_id)
        record = state.records[self.index] if self.index < len(state.records) else None
        if record is not None and record.verdict is not None:
            decision = "pass" if record.passed else {"FAIL": "fail"}.get(record.verdict, "undecided")
            return {"decision": decision, "verdict": record.verdict, "reason": record.reason, "message": state.message}
        if not state.open or state.cut_at is not None:
            return {"decision": "lost", "verdict": None, "reason": state.reason, "message": "the rollout was ended elsewhere"}
        return None

    def _tell(self, look: "Look", told: tuple[float, str]) -> tuple[float, str]:
        at, before = told
        now = f"{look.verdict.reason} {look.decision} {look.why}"
        if now == before and time.monotonic() - at < TELL_EVERY:
            return told
        waits = WAITS_FOR.get(look.why, "").format(model=self.model)
        self.log.info("stage %d %s: %s%s", self.index, look.decision, look.verdict.message, waits)
        return time.monotonic(), now

    def _announce(self, ports: Ports, notice: "Notice") -> None:
        """Beside the looks, which wait for no receiver; the journal has it in any case."""
        from sluicegate.actions.release.follow import announce

        try:
            announce(ports, notice)
        except SluicegateError as e:
            self.log.warning("'%s' was not told: %s", notice.key, e)


def patience(stage: StageSpec) -> timedelta:
    """How long a gate waits for a decision: well past the deadline at which the watch itself decides, and long enough for people.

    Days, because anybody may pause any stage. A gate that nobody watches is ended much sooner: by the lease, and by the sweep.
    """
    return max(HOLD_AT_MOST, timedelta(seconds=3 * stage.deadline_s + 600))


def _event(look: "Look") -> dict[str, Any]:
    said = look.verdict
    return {"decision": look.decision, "verdict": str(said.verdict), "reason": said.reason, "message": said.message}
