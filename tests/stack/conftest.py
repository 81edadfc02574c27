"""One real local stack for all live tests, and what happens on it once: a first version, and a rollout under live traffic."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import requests
import yaml

from sluicegate.actions.release import champion_version, rollout
from sluicegate.domain.rollout import Kind, Rollout
from sluicegate.local.secrets import airflow_password
from sluicegate.local.stack import down, up
from sluicegate.settings import Settings
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring, wire

MODEL = "visits"
HERE = Path(__file__).parent
INPUTS = ["lncoins", "idp", "lpi", "fmde", "physlm", "disea", "health"]
BEGIN, YEAR = pd.Timestamp("1975-01-01", tz="UTC"), 360
"""The calendar is ours: the data know the order of a person's years of study, but no dates."""


@dataclass(frozen=True)
class Study:
    """Yearly answers of people, as requests and as the labels that became known later."""

    rows: pd.DataFrame

    def days(self, first: int, last: int) -> "Study":
        """The part that was asked on these days of the calendar, the last one excluded."""
        return Study(self.rows[(self.rows["day"] >= first) & (self.rows["day"] < last)])

    def __len__(self) -> int:
        return len(self.rows)

    def write_requests(self, path: Path) -> Path:
        """What a former system logged, or what clients will send."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows[["request_id", "event_time", "person", *INPUTS]].to_parquet(path, index=False)
        return path

    def labels(self) -> pd.DataFrame:
        return self.rows[["request_id", "event_time", "visits", "known_at"]].reset_index(drop=True)

    def write_labels(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.labels().to_csv(path, index=False)
        return path


@dataclass
class Stack:
    """The running stack: its ports, its Airflow, its gateway."""

    settings: Settings
    folder: Path
    """For files that land and for statistics of clients."""
    up_seconds: float = 0.0
    _token: str = field(default="", repr=False)

    @property
    def ports(self) -> Wiring:
        return wire(self.settings)

    def api(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One call of Airflow's public REST API as the user admin."""
        base = f"http://{self.settings.host}:{self.settings.airflow_port}"
        for _ in range(5):
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = requests.request(method, f"{base}/api/v2{path}", json=body, headers=headers, timeout=60)
            if answer.status_code == 401:
                login = {"username": "admin", "password": airflow_password(self.settings.home)}
                self._token = requests.post(f"{base}/auth/token", json=login, timeout=60).json()["access_token"]
            elif answer.status_code < 500:  # SQLite has one write lock: who does not get it in time asks again
                break
        return answer

    def page(self, path: str, *, signed_in: bool = True) -> requests.Response:
        """What a browser gets at a path of Airflow's web server, with the cookie of the user admin or without."""
        self.api("GET", "/dags?limit=1")  # a fresh token
        cookies = {"_token": self._token} if signed_in else {}
        base = f"http://{self.settings.host}:{self.settings.airflow_port}"
        return requests.get(base + path, cookies=cookies, timeout=60)

    def trigger(self, dag_id: str, **params: Any) -> requests.Response:
        """What a person does in the UI."""
        return self.api("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": params})

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a Dag, oldest first."""
        found = self.api("GET", f"/dags/{dag_id}/dagRuns?order_by=run_after&limit=100").json()
        return list(found.get("dag_runs", []))

    def failed_tasks(self) -> list[str]:
        found = self.api("GET", "/dags/~/dagRuns/~/taskInstances?state=failed&limit=100").json()["task_instances"]
        return [f"{t['dag_id']}.{t['task_id']} of {t['dag_run_id']}" for t in found]

    def land(self, source: Path, model: str = MODEL) -> None:
        """What a producer of labels does."""
        self.ports.landing.drop(model, source.name, source)

    def until(self, what: str, done: Callable[[], Any], seconds: float = 120.0) -> Any:
        """Wait until `done` gives something true, and return that."""

        def told() -> str:
            return f"{what}; failed tasks: {self.failed_tasks()}; see {self.settings.home}"

        return wait_until(done, seconds, told, pause=0.3)

    def idle(self, *verbs: str) -> bool:
        """Whether no run of these Dags of the model is under way."""
        return not [r for verb in verbs for r in self.runs(f"{MODEL}_{verb}") if r["state"] in ("queued", "running")]

    def rollouts(self) -> list[Rollout]:
        """All rollouts of the model, oldest first."""
        opened = self.ports.journal.events(MODEL, kinds=(Kind.OPENED,))
        return [rollout(self.ports, MODEL, e.rollout) for e in opened]

    def ask(self, row: dict[str, Any]) -> requests.Response:
        """One prediction through the gateway."""
        headers = {"x-user-id": row["person"], "x-request-id": row["request_id"]}
        url = f"http://{self.settings.host}:{self.settings.gateway_port}/models/{MODEL}/predict"
        return requests.post(url, json=row, headers=headers, timeout=10)

    def replay(self, rows: Path, name: str, rate: float, *options: str) -> subprocess.Popen[bytes]:
        """Clients of the gateway in a process of their own; their statistics are in <name>.json."""
        gateway = f"http://{self.settings.host}:{self.settings.gateway_port}"
        command = [sys.executable, "-m", "sluicegate_demo.replay", "--model", MODEL, "--rows", str(rows), "--user", "person"]
        command += ["--gateway", gateway, "--rate", str(rate), "--stats", str(self.folder / f"{name}.json"), *options]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def tally(self, name: str) -> dict[str, Any]:
        """What the clients got."""
        return dict(json.loads((self.folder / f"{name}.json").read_text()))

    def processes(self) -> list[psutil.Process]:
        """Every process of this installation, whoever its parent is: it works in the home, or carries it in its environment."""
        found = psutil.process_iter(["environ", "cwd"])
        return [p for p in found if p.pid != os.getpid() and str(self.settings.home) in _homes(p)]


def _homes(process: psutil.Process) -> tuple[str | None, str | None]:
    """Airflow's API server writes its title over its environment; supervisord starts everything in the home."""
    return (process.info["environ"] or {}).get("SLUICEGATE_HOME"), process.info["cwd"]


@dataclass(frozen=True)
class Second:
    """What the second labels brought about."""

    labels: Path
    rows: int
    manual: tuple[str, ...]
    """Run ids of the two ingest runs that were started by hand at the instant at which the file arrived."""


@pytest.fixture(scope="session")
def study() -> Study:
    return read_study()


def read_study() -> Study:
    """The RAND Health Insurance Experiment as statsmodels ships it: 20 190 years of people, in order.

    Consecutive rows with the same answers are the years of one person (three or five of them; longer runs are several people
    who are alike). Year k is asked in the k-th year of the calendar, each person on a day of their own, drawn once; the number of
    visits is called known 14 days later.
    """
    from statsmodels.datasets import randhie

    raw = randhie.load_pandas().data
    asked = raw.drop(columns="mdvis")
    run = (asked != asked.shift()).any(axis=1).cumsum()
    place, length = raw.groupby(run).cumcount(), run.map(run.value_counts())
    years = np.where((length % 3 == 0) & (length % 5 != 0), 3, 5)
    person = "p" + run.astype(str) + "." + (place // years).astype(str)
    drawn = pd.Series(np.random.default_rng(1974).permutation(person.nunique()), index=person.unique()) / person.nunique()
    day = (place % years + person.map(drawn)) * YEAR
    when = (BEGIN + pd.to_timedelta(day, unit="D")).dt.floor("s")
    health = np.select([raw["hlthg"] == 1, raw["hlthf"] == 1, raw["hlthp"] == 1], ["good", "fair", "poor"], "excellent")
    rows = raw.assign(person=person, day=day, health=health, idp=raw["idp"].astype(int), visits=raw["mdvis"].astype(int))
    rows["request_id"] = person + "/" + (place % years).astype(str)
    rows["event_time"], rows["known_at"] = (_text(t) for t in (when, when + pd.Timedelta(days=14)))
    return Study(rows.sort_values(["event_time", "request_id"]).reset_index(drop=True))


def _text(times: "pd.Series[pd.Timestamp]") -> "pd.Series[str]":
    return times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, study: Study) -> Iterator[Stack]:
    """The stack, up from the first live test to the last, with a home, models and ports of its own; nothing is left behind."""
    folder = tmp_path_factory.mktemp("stack")
    first = _free_block()
    names = ("AIRFLOW", "MLFLOW", "GATEWAY", "GATEWAY_ADMIN", "SERVER")
    ports = {f"SLUICEGATE_{name}_PORT": str(first + place) for place, name in enumerate(names)}
    folders = {"SLUICEGATE_HOME": str(folder / "home"), "SLUICEGATE_MODELS": str(folder / "models")}
    running = Stack(Settings.from_environment({**folders, **ports}), folder)
    _write_models(running.settings.models)
    began = time.monotonic()
    try:
        up(running.settings)
        running.up_seconds = time.monotonic() - began
        running.land(study.days(0, 3).write_labels(folder / "for-cron.csv"), "by_cron")  # its minute passes meanwhile
        yield running
    finally:
        _kill_supervisor(running.settings)  # a clean down is a test's; this one must end even what lost its supervisor
        down(running.settings)
        left = running.processes()
        assert not left, f"down left {[p.cmdline() for p in left]}"


def _kill_supervisor(settings: Settings) -> None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((settings.supervisor / "supervisord.pid").read_text()), signal.SIGKILL)


def _free_block() -> int:
    """First of 50 ports below the range from which the system gives out ports; none of the first five is taken."""
    for first in range(20_000, 32_000, 50):
        try:
            for port in range(first, first + 5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    pytest.fail("no free ports between 20000 and 32000")


def _write_models(models: Path) -> None:
    """The second model, as its user wrote it, and relatives: one started by cron, one by hand alone, one that is wrong."""
    shutil.copytree(HERE / "models" / MODEL, models / MODEL, ignore=shutil.ignore_patterns("__pycache__"))
    spec = yaml.safe_load((models / MODEL / "spec.yaml").read_text())
    schedules = {"by_cron": {"cron": "* * * * *", "arrival": False}, "by_hand": {"arrival": False}}
    for name, schedule in schedules.items():
        _relative(models, name, {**spec, "schedule": schedule})
    shrinking = [{"mirror": 10}, {"weight": 50}, {"weight": 25}, {"weight": 100}]
    _relative(models, "broken", {**spec, "release": {**spec["release"], "stages": shrinking}, "sheduler": {}})


def _relative(models: Path, name: str, spec: dict[str, Any]) -> None:
    (models / name).mkdir()
    shutil.copy(models / MODEL / "features.py", models / name)
    (models / name / "spec.yaml").write_text(yaml.safe_dump({**spec, "model": name}, sort_keys=False))


@pytest.fixture(scope="session")
def first_version(stack: Stack, study: Study) -> str:
    """Two years of history and labels have landed; the version that serves since then."""
    early = study.days(0, 2 * YEAR)
    early.write_requests(stack.settings.data / MODEL / "history" / "requests.parquet")
    stack.land(early.write_labels(stack.folder / "labels-of-two-years.csv"))
    stack.until("a first version", lambda: champion_version(stack.ports, MODEL), 180)
    stack.until("the first rollout's end", lambda: stack.idle("ingest", "retrain", "release"))
    return str(champion_version(stack.ports, MODEL))


@pytest.fixture(scope="session")
def second(stack: Stack, study: Study, first_version: str) -> Second:
    """Half a year is served live and its labels land, while live traffic goes on: by arrival alone to the next champion."""
    served, later = study.days(2 * YEAR, 2 * YEAR + 180), study.days(2 * YEAR + 180, 3 * YEAR)
    assert stack.replay(served.write_requests(stack.folder / "served.parquet"), "served", 400).wait(timeout=120) == 0
    clients = stack.replay(later.write_requests(stack.folder / "later.parquet"), "later", 120, "--loop")
    try:
        labels = served.write_labels(stack.folder / "labels-of-the-third-year.csv")
        stack.land(labels)
        manual = tuple(stack.trigger(f"{MODEL}_ingest").json()["dag_run_id"] for _ in range(2))
        stack.until("the second rollout", lambda: len(stack.rollouts()) == 2 and not stack.rollouts()[1].open, 240)
        stack.until("its last task", lambda: stack.idle("ingest", "retrain", "release"), 60)
    finally:
        clients.send_signal(signal.SIGTERM)
        clients.wait(timeout=20)
    return Second(labels, len(served), manual)
