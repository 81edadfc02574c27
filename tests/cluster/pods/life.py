"""A task's life in Airflow, in processes of its own that can be killed: the worker's part, the triggerer's part, try after try."""

import asyncio
import json
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from kubernetes.client import models as k8s
from tests.cluster.pods.rig import PATIENT_S, Task

from sluicegate.domain import pod_fate
from sluicegate.testing.waiting import wait_until
from sluicegate_airflow.errors import RETRIES
from sluicegate_airflow.tasks import order_task

Told = tuple[str, Any]
"""How a task ended, `success`, `failed` or `skipped`, and with what."""
Deferral = Mapping[str, Any]
"""What Airflow's database keeps of a deferred task."""


@dataclass(frozen=True)
class Setup:
    """What Airflow's processes know."""

    environment: Mapping[str, str]
    model: str
    snapshot: str
    store: str
    """How the model's pods reach the store."""
    log: Path
    """What they print: the task's log."""
    patience: Mapping[str, float]
    """Constants of `pod_fate` that are too long for a test."""


# In the main process


@dataclass
class Life:
    """The task, as a person sees it: its log, how its tries ended."""

    setup: Setup
    ends: list[Told] = field(default_factory=list)
    deferred: list[Deferral] = field(default_factory=list)
    processes: list[ForkServerProcess] = field(default_factory=list)
    tries: int = 0

    def start(self, part: Callable[..., None], *given: Any) -> ForkServerProcess:
        receiver, sender = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=part, args=(sender, self.setup, *given), daemon=True)
        process.start()
        sender.close()
        self.processes.append(process)
        threading.Thread(target=self._listen, args=(receiver,), daemon=True).start()
        return process

    def begin(self) -> ForkServerProcess:
        """Worker, triggerer and retries, until the task has ended."""
        self.tries += 1
        return self.start(live, self.tries)

    def end(self, number: int = 0) -> Told:
        """How the task ended; `number` tells apart the ends of a task that was begun again."""
        return self.until(lambda: len(self.ends) > number, "end of the task") and self.ends[number]

    @property
    def log(self) -> list[str]:
        return self.setup.log.read_text().splitlines() if self.setup.log.exists() else []

    def said(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in self.log)

    def hears(self, pattern: str) -> None:
        self.until(lambda: self.said(pattern), f"line '{pattern}'")

    def until(self, met: Callable[[], Any], what: str) -> Any:
        return wait_until(met, PATIENT_S, lambda: f"{what}; log: {self.log[-15:]}, ends: {self.ends}", pause=0.1)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()
            process.close()

    def _listen(self, receiver: Connection) -> None:
        with receiver:
            while True:
                try:
                    kind, what = receiver.recv()
                except (EOFError, OSError):
                    return
                if kind == "deferred":
                    self.deferred.append(what)
                else:
                    self.ends.append((kind, what))


CONTEXT = multiprocessing.get_context("forkserver")
"""Each process is forked from one that has imported all of this and has done nothing else: no start costs the imports again."""


# In Airflow's processes


def work(sender: Connection, setup: Setup, number: int) -> None:
    """A worker that has deferred its task and never comes to report it."""
    prepare(setup)
    deferred = task(setup, number).begin()
    assert deferred is not None
    sender.send(("deferred", plain(deferred)))
    threading.Event().wait()


def live(sender: Connection, setup: Setup, number: int, deferral: Deferral | None = None) -> None:
    """The task from its beginning, or from where it was deferred, to its end, tried again as the Dags' retries say."""
    prepare(setup)
    for tried in range(RETRIES["retries"] + 1):
        doing = task(setup, number + tried)
        try:
            deferred = doing.begin() if deferral is None or tried else restored(deferral)
            if deferred is not None:
                sender.send(("deferred", plain(deferred)))
            sender.send(("success", doing.follow(deferred)))
            return
        except Exception as e:
            print(f"{type(e).__name__}: {e}", flush=True)
            if isinstance(e, AirflowSkipException):
                sender.send(("skipped", str(e)))
                return
            decided = RETRIES["retry_policy"].evaluate(e, tried + 1, RETRIES["retries"])
            if decided.action is RetryAction.FAIL or tried == RETRIES["retries"]:
                sender.send(("failed", str(e)))
                return
        time.sleep(RETRIES["retry_delay"].total_seconds() * RETRIES["retry_exponential_backoff"] ** tried)


def act(sender: Connection, setup: Setup, deferral: Deferral) -> None:
    """What the triggerer does when a person clears the deferred task or marks it as failed."""
    prepare(setup)
    asyncio.run(restored(deferral).trigger.on_kill())


def prepare(setup: Setup) -> None:
    """The process becomes one of this installation's, and prints into the task's log."""
    with setup.log.open("ab", buffering=0) as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    os.environ.update(setup.environment)
    for library in ("kubernetes", "kubernetes_asyncio"):  # both have read KUBECONFIG already
        import_module(f"{library}.config.kube_config").KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]
    operator = import_module("airflow.providers.cncf.kubernetes.operators.pod")
    operator.pod_mutation_hook = lambda pod: lead(pod, setup)
    vars(pod_fate).update(setup.patience)


def task(setup: Setup, number: int) -> Task:
    return Task(order_task(setup.model, "train", {"snapshot": {"snapshot_id": setup.snapshot}}), attempt=number)


def lead(pod: k8s.V1Pod, setup: Setup) -> None:
    """This installation's pod_mutation_hook: the pod goes the test's way to the store."""
    (container,) = pod.spec.containers
    container.env.append(k8s.V1EnvVar("AWS_ENDPOINT_URL", setup.store))


def plain(deferred: TaskDeferred) -> Deferral:
    kept = {"trigger": deferred.trigger.serialize(), "method_name": deferred.method_name, "kwargs": deferred.kwargs}
    found: Deferral = json.loads(json.dumps(kept, default=str))
    return found


def restored(deferral: Deferral) -> TaskDeferred:
    place, facts = deferral["trigger"]
    module, _, name = place.rpartition(".")
    trigger = getattr(import_module(module), name)(**facts)
    return TaskDeferred(trigger=trigger, method_name=deferral["method_name"], kwargs=deferral["kwargs"])
