"""Tasks of profile kubernetes on a real cluster without the rest of Airflow: the worker's part, the triggerer's part, in turns."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TaskSuccessEvent

from sluicegate.actions.ingest.write import accepted_schema
from sluicegate.domain.spec import ModelSpec
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring, wire

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

MODEL = "flights"
PATIENT_S = 240.0
WORK = "$(grep -lz '[-]-fetch' /proc/[0-9]*/cmdline | cut -d/ -f3)"
"""Inside a pod: number of the process that carries out the order. (The brackets keep the pattern from finding itself.)"""


@dataclass
class World:
    """One installation in a namespace of its own, with one committed batch and a prefix of its own in the store."""

    cluster: Cluster
    settings: Settings
    ports: Wiring = field(init=False)

    def __post_init__(self) -> None:
        self.ports = wire(self.settings)

    @property
    def namespace(self) -> str:
        return self.settings.namespace

    @cached_property
    def api(self) -> "ApiClient":
        """With all rights."""
        return self.cluster.client()

    def with_models(self, models: Path) -> Wiring:
        """The same installation with other models."""
        return wire(replace(self.settings, models=models))

    def prepare(self) -> None:
        """Accounts, Secret and data, as the manifests and ingest would leave them."""
        self.kubectl("apply", "-f", str(PROJECT / "docker" / "kubernetes" / "base" / "rbac.yaml"))
        held = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
        self.kubectl(
            *("create", "secret", "generic", "sluicegate"),
            *(f"--from-literal={name}={self.cluster.environment[name]}" for name in held),
        )

    def commit(self, batch: str, folder: Path, rows: int = 50) -> None:
        spec = self.ports.spec(MODEL)
        folder.mkdir()
        pq.write_table(plausible(spec, rows), folder / "accepted.parquet")
        (folder / "report.json").write_text(json.dumps({"batch_id": batch}))
        self.ports.dataset.commit(MODEL, batch, folder)

    def pods(self, name: str = "") -> list[dict[str, Any]]:
        """All pods, or those of a name."""
        said = self.cluster.kubectl("get", "pods", "--namespace", self.namespace, "-o", "json").stdout
        return [pod for pod in json.loads(said)["items"] if name in ("", pod["metadata"]["name"])]

    def inside(self, pod: str, script: str) -> None:
        """Run a shell script in the pod's container, as soon as there is one."""
        self.wait(lambda: self.kubectl("exec", pod, "--", "sh", "-c", script, check=False).returncode == 0, f"exec {script}")

    def kubectl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, check=check)

    def wait(self, met: Callable[[], Any], what: str) -> Any:
        def told() -> str:
            return f"{what}; pods: {json.dumps([pod['status'] for pod in self.pods()])[:2000]}"

        return wait_until(met, PATIENT_S, told, pause=0.2)


class Task:
    """A task's way through Airflow: what its worker and its triggerer do, one after the other."""

    def __init__(self, task: Any, *, run: str = "run", attempt: int = 1) -> None:
        self.task, self.pushed, self.resumed = task, dict[str, Any](), 0
        ti = SimpleNamespace(
            dag_id="flights_retrain",
            task_id=task.task_id,
            map_index=-1,
            try_number=attempt,
            start_date=datetime.now(UTC),
            xcom_push=lambda key, value: self.pushed.update({key: value}),
        )
        self.context: Any = {"ti": ti, "run_id": run, "dag": SimpleNamespace(dag_id="flights_retrain"), "params": {}}

    def begin(self) -> TaskDeferred | None:
        """The worker's part: until the task is deferred, or at its end."""
        try:
            self.task.execute(self.context)
        except TaskDeferred as deferred:
            return deferred
        return None

    def follow(self, deferred: TaskDeferred | None) -> Any:
        """The triggerer's part and the worker's next one, until the task has ended; returns what it pushed."""
        while deferred is not None:
            deferred.trigger._push = lambda value: self.pushed.update(return_value=value)
            deferred.trigger._warm_up = lambda: None  # the triggerer's own way to Airflow, which is not here
            event = asyncio.run(first(deferred.trigger))
            self.resumed += 1
            if isinstance(event, TaskSuccessEvent):
                break
            try:
                getattr(self.task, deferred.method_name)(self.context, event.payload, **(deferred.kwargs or {}))
                deferred = None
            except TaskDeferred as again:
                deferred = again
        return self.pushed.get("return_value")

    def run(self) -> Any:
        return self.follow(self.begin())


async def first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    raise AssertionError(f"{trigger} fired nothing")


def plausible(spec: ModelSpec, rows: int) -> pa.Table:
    """Rows that the spec allows and that hold something to learn."""
    schema = accepted_schema(spec.data)
    at = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp() * 1e6)
    return pa.table(
        {name: [_value(kind, n, rows, at) for n in range(rows)] for name, kind in zip(schema.names, schema.types, strict=True)},
        schema=schema,
    )


def _value(kind: pa.DataType, n: int, rows: int, at: int) -> Any:
    if pa.types.is_timestamp(kind):
        return at + n * int(120 * 86400e6 / rows)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return (n * 7) % 60
    return n % 2 == 0 if pa.types.is_boolean(kind) else f"N{n:04d}"
