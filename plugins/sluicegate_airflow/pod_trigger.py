"""Follows a pod without a worker, from the triggerer: shows its log, says what it waits for, fires when it has ended or never will start.

What became of the work is read from the store. A committed result ends the task from here: to wake a worker for it takes longer
than many an order. Everything else is for the task that this wakes up.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from functools import cache, cached_property
from typing import Any

from aiohttp import ClientError
from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.execution_time.xcom import XCom
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from kubernetes_asyncio.client import CoreV1Api
from kubernetes_asyncio.client.exceptions import ApiException

from sluicegate.domain.order import Order
from sluicegate.domain.pod import CONTAINER, Job
from sluicegate.domain.pod_fate import ended, hopeless, running, waits_for
from sluicegate.errors import SluicegateError
from sluicegate.wiring import Wiring, wire
from sluicegate_airflow.orders import small

EVERY = 1.0
"""Seconds between two looks."""
AWAY_EVERY = 5.0
"""Seconds between two looks at an API server that does not answer."""
LOG_EVERY = 5.0
"""Seconds between two looks at the log."""
LOG_OVERLAP_S = 10
"""How far a look at the log reaches back behind the one before: clocks differ, and lines carry their times."""
TELL_EVERY = 60.0
"""Seconds between two lines that say the same."""
UNKNOWN, FORBIDDEN, ABSENT = 401, 403, 404
NO_ANSWER = (ApiException, ClientError, OSError, TimeoutError)


class PodTrigger(BaseTrigger):
    """Fires once: {"pod": as it was when it was last seen, or None, "refused": what the cluster does not let us see, or ""}.

    Parameters
    ----------
    job : mapping
        Of the order, as `Job.plain` gives it.
    gone : bool
        Whether to wait until nothing of the name is left: when the name is taken by what is not ours to follow.
    ends : bool
        Whether a committed result ends the task from here.
    """

    def __init__(self, namespace: str, job: Mapping[str, Any], gone: bool = False, ends: bool = False) -> None:
        super().__init__()
        self.namespace, self.job, self.gone, self.ends = namespace, dict(job), gone, ends
        self._told = (0.0, "")
        self._shown = ""
        self._log_at = 0.0
        self._warming: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        facts = ("namespace", "job", "gone", "ends")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in facts}

    @cached_property
    def hook(self) -> AsyncKubernetesHook:
        """The cluster of this process, like `kube.client`; with extras given, no connection is looked up, which can take long."""
        inside = "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
        return AsyncKubernetesHook(in_cluster=inside, connection_extras={})

    @cached_property
    def _job(self) -> Job:
        return Job.of(self.job)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        last: dict[str, Any] | None = None
        if self.ends and not self.gone:
            self._warming = asyncio.create_task(asyncio.to_thread(self._warm_up))
        while True:
            try:
                pod = await self._look()
            except NO_ANSWER as e:
                if getattr(e, "status", 0) in (UNKNOWN, FORBIDDEN):
                    yield TriggerEvent({"pod": last, "refused": _brief(e)})
                    return
                self._tell(f"the cluster does not answer ({_brief(e)}): the pod goes on, asking again")
                await asyncio.sleep(AWAY_EVERY)
                continue
            if pod is None or (not self.gone and await self._over(pod)):
                yield await self._end(pod or last)
                return
            last = pod
            await asyncio.sleep(EVERY)

    async def on_kill(self) -> None:
        """A person ended the task while nobody worked on it: stop the pod too, unless it belongs to somebody else."""
        if not self.gone:
            await self.hook.delete_pod(self._job.name, self.namespace)

    async def _end(self, pod: Mapping[str, Any] | None) -> TriggerEvent:
        ended_here = self.ends and not self.gone and await asyncio.to_thread(self._committed, pod)
        if ended_here and not (pod and ended(pod)):
            self._tell(f"pod {self._job.name} did not come to its end, but its result is in the store and counts")
        return TaskSuccessEvent() if ended_here else TriggerEvent({"pod": pod, "refused": ""})

    def _committed(self, pod: Mapping[str, Any] | None) -> bool:
        """Whether there is a result; it is handed on then, and its pod is needed no more."""
        try:
            ports = _ports()
            found = ports.outbox.result(self._job.order)
            if found is None:
                return False
            self._push(returned(self._job.order, found))
            if pod is not None:
                ports.pods.remove(pod)
        except SluicegateError as e:  # the task itself asks again, and says what is wrong
            self._tell(str(e))
            return False
        return True

    def _warm_up(self) -> None:
        """Do once what is slow the first time in a process, beside the work: open the store, and the way to Airflow's own database."""
        try:
            _ports().outbox.result(self._job.order)
            XCom.get_one(key="return_value", **self._where())
        except (SluicegateError, AirflowException) as e:
            self._tell(f"the way of the result is not open yet ({e})")

    def _where(self) -> dict[str, Any]:
        mine = self.task_instance
        return {"dag_id": mine.dag_id, "task_id": mine.task_id, "run_id": mine.run_id, "map_index": mine.map_index}

    def _push(self, value: Mapping[str, Any]) -> None:
        """What the task returns. Not as an XCom of the event: Airflow 3.3 hands those on as text."""
        XCom.set("return_value", dict(value), **self._where())

    async def _over(self, pod: Mapping[str, Any]) -> bool:
        if ended(pod):
            await self._show_log()
            return True
        if hopeless(pod, self._job, time.time()) is not None:
            return True
        if not running(pod):
            self._tell(f"pod {self._job.name} waits for {waits_for(pod)}")
        elif time.monotonic() - self._log_at >= LOG_EVERY:
            await self._show_log()
        return False

    async def _look(self) -> dict[str, Any] | None:
        """The pod, with a credential that may have been renewed since the kubeconfig was read."""
        try:
            return await self._pod()
        except ApiException as e:
            if e.status != UNKNOWN:
                raise
            self.__dict__.pop("hook", None)  # the next one reads the kubeconfig anew
            return await self._pod()

    async def _pod(self) -> dict[str, Any] | None:
        """What may be known of the pod, as the API server gives it; None when there is none."""
        async with self.hook.get_conn() as connection:
            try:
                found = await CoreV1Api(connection).read_namespaced_pod(self._job.name, self.namespace)
            except ApiException as e:
                if e.status == ABSENT:
                    return None
                raise
            pod = connection.sanitize_for_serialization(found)
        kept = ("name", "creationTimestamp", "deletionTimestamp", "labels", "uid")
        return {"metadata": {name: pod["metadata"][name] for name in kept if name in pod["metadata"]}, "status": pod["status"]}

    async def _show_log(self) -> None:
        """What the work has printed since it was last asked. Every line begins with its time, so none is shown twice."""
        now = time.monotonic()
        since = int(now - self._log_at) + LOG_OVERLAP_S if self._log_at else None
        try:
            lines = await self.hook.read_logs(self._job.name, self.namespace, CONTAINER, since)
        except NO_ANSWER as e:
            self._tell(f"the log of pod {self._job.name} cannot be read now ({_brief(e)})")
            return
        self._log_at = now
        for line in lines:
            at, _, text = line.partition(" ")
            if (at := at.rstrip("Z")) > self._shown:
                self._shown = at
                self.log.info("%s", text)

    def _tell(self, now: str) -> None:
        at, before = self._told
        if now != before or time.monotonic() - at >= TELL_EVERY:
            self._told = (time.monotonic(), now)
            self.log.info("%s", now)


def _brief(e: BaseException) -> str:
    return f"{e.status} {e.reason}" if isinstance(e, ApiException) else f"{type(e).__name__}: {e}"


def returned(order: Order, result: Mapping[str, Any]) -> dict[str, Any]:
    """What a task returns for the committed result of its order."""
    return dict(result) if order.action == "release" else {"key": order.key, **small(result)}


@cache
def _ports() -> Wiring:
    """One for all triggers of the process: to open the store anew takes seconds."""
    return wire()
