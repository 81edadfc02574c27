"""What can happen to a release in Airflow itself: people mark, clear and pause, a run is started twice, a model's files change."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import yaml

from sluicegate.actions.release import open_watch, status
from sluicegate.errors import SluicegateError, UnavailableError
from sluicegate.local.secrets import airflow_password
from sluicegate.settings import Settings
from sluicegate.supervisord import Supervisord
from sluicegate.wiring import wire
from sluicegate_demo.airflow import Airflow

PARSED_AGAIN_S = 40.0
"""Until a changed or removed file has changed the Dags: the processor's interval, and the parsing."""
AIRFLOW = ("airflow-scheduler", "airflow-triggerer", "airflow-dags", "airflow-api")
Over = Callable[[], None]


class Person(Airflow):
    """What a person can do to a run in the UI, by the same API."""

    def run(self, dag: str) -> str:
        """The run under way; LookupError when there is none."""
        runs = self._call("GET", f"/api/v2/dags/{dag}/dagRuns?state=running&order_by=-run_after&limit=1")["dag_runs"]
        if not runs:
            raise LookupError(f"no run of {dag} is under way")
        return str(runs[0]["dag_run_id"])

    def task(self, dag: str, run: str) -> str:
        """The task that the run is at: a gate that waits, or whatever runs; LookupError in between."""
        found = self._call("GET", f"{self._at(dag, run)}/taskInstances?limit=100")["task_instances"]
        for state in ("deferred", "running", "queued", "scheduled", "up_for_retry"):
            if at := [t["task_id"] for t in found if t["state"] == state]:
                return str(at[0])
        raise LookupError(f"{run} of {dag} is between two tasks")

    def mark_task(self, dag: str, run: str, task: str, state: str) -> None:
        self._call("PATCH", f"{self._at(dag, run)}/taskInstances/{task}", {"new_state": state})

    def mark_run(self, dag: str, run: str, state: str) -> None:
        self._call("PATCH", self._at(dag, run), {"state": state})

    def clear(self, dag: str, run: str, task: str) -> None:
        """Do this task, and all that follows it, again."""
        what: dict[str, Any] = {"dag_run_id": run, "task_ids": [task], "include_downstream": True, "only_failed": False}
        self._call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", {**what, "dry_run": False, "reset_dag_runs": True})

    def start_again(self, dag: str, run: str) -> None:
        """The same version once more, by an impatient person."""
        version = self._call("GET", self._at(dag, run))["conf"]["version"]
        self.trigger(dag, version=version)

    def pause(self, dag: str, *, paused: bool) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": paused})

    def _at(self, dag: str, run: str) -> str:
        return f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}"


class Accidents:
    """Lets one happen to a lane's release; the answer waits until it is over."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._person = Person(f"http://{settings.host}:{settings.airflow_port}", airflow_password(settings.home))

    def happen(self, name: str, lane: str, seconds: float) -> Over:
        """LookupError when it cannot happen to this lane now."""
        try:
            return KINDS[name](self, lane, seconds)
        except (UnavailableError, requests.RequestException) as e:  # Airflow is away, or refuses what makes no sense now
            raise LookupError(f"{name} could not happen to {lane}: {e}") from e

    def _on_task(self, lane: str, act: Callable[[str, str, str], None]) -> Over:
        dag = f"{lane}_release"
        run = self._person.run(dag)
        act(dag, run, self._person.task(dag, run))
        return lambda: None

    def mark_failed(self, lane: str, _: float) -> Over:
        return self._on_task(lane, lambda dag, run, task: self._person.mark_task(dag, run, task, "failed"))

    def mark_success(self, lane: str, _: float) -> Over:
        return self._on_task(lane, lambda dag, run, task: self._person.mark_task(dag, run, task, "success"))

    def mark_run_failed(self, lane: str, _: float) -> Over:
        return self._on_task(lane, lambda dag, run, _: self._person.mark_run(dag, run, "failed"))

    def mark_run_success(self, lane: str, _: float) -> Over:
        return self._on_task(lane, lambda dag, run, _: self._person.mark_run(dag, run, "success"))

    def clear(self, lane: str, _: float) -> Over:
        return self._on_task(lane, self._person.clear)

    def start_twice(self, lane: str, _: float) -> Over:
        return self._on_task(lane, lambda dag, run, _: self._person.start_again(dag, run))

    def pause_dag(self, lane: str, seconds: float) -> Over:
        dag = f"{lane}_release"
        self._person.run(dag)
        self._person.pause(dag, paused=True)
        return lambda: (time.sleep(seconds), self._person.pause(dag, paused=False))[1]

    def watch_twice(self, lane: str, seconds: float) -> Over:
        """A second watcher of the same stage, as when a trigger is carried out by two triggerers."""
        ports = wire(self._settings)
        state = status(ports, lane)
        if state is None or not state.records:
            raise LookupError(f"{lane} is at no stage")
        until = time.monotonic() + seconds
        with contextlib.suppress(SluicegateError):
            watch = open_watch(ports, lane, state.rollout_id, state.next_stage - 1, author="second watcher")
            while time.monotonic() < until and not watch.look().decided:
                time.sleep(watch.look_every)
        return lambda: None

    def remove_model(self, lane: str, _: float) -> Over:
        """Its Dags vanish in mid-rollout, and come back."""
        folder = self._settings.models / lane
        away = folder.rename(folder.with_name(f".{lane}"))

        def over() -> None:
            time.sleep(PARSED_AGAIN_S)
            away.rename(folder)

        return over

    def change_plan(self, lane: str, _: float) -> Over:
        """One stage is gone and another one new while a rollout goes by the plan that it began with."""
        path = self._settings.models / lane / "spec.yaml"
        before = path.read_text()
        spec = yaml.safe_load(before)
        stages = [s for s in spec["release"]["stages"] if s.get("weight") != 50]
        spec["release"]["stages"] = [*stages[:-1], {**stages[-1], "weight": 75}, stages[-1]]
        _replace(path, yaml.safe_dump(spec, sort_keys=False))

        def over() -> None:
            time.sleep(PARSED_AGAIN_S)
            _replace(path, before)

        return over

    def scheduler_off(self, _: str, seconds: float) -> Over:
        return self._off(("airflow-scheduler",), seconds)

    def airflow_off(self, _: str, seconds: float) -> Over:
        """All of Airflow, as for an upgrade or while its database is restarted."""
        return self._off(AIRFLOW, seconds)

    def _off(self, programs: tuple[str, ...], seconds: float) -> Over:
        supervisord = Supervisord(self._settings)
        for program in programs:
            supervisord.call("stopProcess", program)

        def over() -> None:
            time.sleep(seconds)
            for program in programs:
                supervisord.call("startProcess", program)

        return over


KINDS: dict[str, Callable[[Accidents, str, float], Over]] = {
    "mark-failed": Accidents.mark_failed,
    "mark-success": Accidents.mark_success,
    "mark-run-failed": Accidents.mark_run_failed,
    "mark-run-success": Accidents.mark_run_success,
    "clear": Accidents.clear,
    "start-twice": Accidents.start_twice,
    "pause-dag": Accidents.pause_dag,
    "watch-twice": Accidents.watch_twice,
    "remove-model": Accidents.remove_model,
    "change-plan": Accidents.change_plan,
    "scheduler-off": Accidents.scheduler_off,
    "airflow-off": Accidents.airflow_off,
}


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
