"""The release Dag in a real Airflow: real scheduler, triggerer, verbs and journal; gateway, servers and judge are files.

Every way through the Dag is taken once, on one Airflow that is started for this module.
"""

import contextlib
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluicegate.actions.release import champion_version, status
from sluicegate.local.programs import airflow_environment
from sluicegate.local.secrets import PASSWORDS, create_secrets, secret_file
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring
from sluicegate_airflow.apply_settings import Api

pytestmark = pytest.mark.stack
PROJECT = Path(__file__).resolve().parents[2]
DAG = "toy_release"
PARTS = (("api-server",), ("scheduler", "-s"), ("dag-processor",), ("triggerer", "-s"))
PREDICTED = {"rows": 100, "mean_score": 0.3, "decision_rate": 0.2, "histogram": [0.05] * 20}
SPEC = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {
        "stages": [{"mirror": 50, "bake": "1s"}, {"weight": 5, "bake": "1s", "deadline": "10m"}, {"weight": 100, "bake": "1s"}],
        "gates": {"error_rate": {}},
        "retention": "1s",
        "lease": "60s",
    },
}
ASKING = SPEC | {
    "model": "asking",
    "release": SPEC["release"] | {"stages": [{"mirror": 50, "approve": True}, {"weight": 100}], "retention": "1h"},
}
"""A model whose plan asks a person, and whose old champion stays warm for long."""


@dataclass
class Airflow:
    """A running Airflow with one model, and what a person does to it."""

    settings: Settings
    ports: Wiring
    env: dict[str, str]
    versions: int = 0
    _api: Api | None = field(default=None)

    @property
    def api(self) -> Api:
        if self._api is None:
            ((user, password),) = json.loads(secret_file(self.settings.home, PASSWORDS).read_text()).items()
            self._api = Api(f"http://127.0.0.1:{self.settings.airflow_port}", user, password)
        return self._api

    def script(self, **what: Any) -> None:
        (self.settings.home / "script.json").write_text(json.dumps(what))

    def start(self, model: str = "toy") -> str:
        """Register one more version and release it by hand."""
        self.versions += 1
        data = {"version": str(self.versions), "verdict": "promote", "release": True, "predicted": PREDICTED}
        self.ports.journal.append(model, "", "REGISTERED", data, author="test")
        return self.trigger(f"{model}_release", version=str(self.versions))

    def trigger(self, dag: str, **params: str) -> str:
        """Start a run of the Dag as its user does."""
        body = {"logical_date": None, "conf": params}
        return str(self.api.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def operate(self, action: str, reason: str = "a person decides", model: str = "toy") -> str:
        """Act from the UI; the state in which that run ended."""
        dag = f"{model}_operate"
        return self.end(self.trigger(dag, action=action, reason=reason), dag)[0]

    def cli(self, *words: str) -> int:
        """Act from the command line; the exit code."""
        return subprocess.run([sys.executable, "-m", "sluicegate", *words], env=self.env, capture_output=True).returncode

    def end(self, run: str, dag: str = DAG) -> tuple[str, dict[str, str]]:
        """State of the finished run, and of each of its tasks."""
        state = eventually(lambda: self._finished(run, dag))
        tasks = self.api.call("GET", f"{self._path(run, dag)}/taskInstances?limit=100")["task_instances"]
        return state, {t["task_id"]: t["state"] for t in tasks}

    def wait_for(self, run: str, task: str, state: str, dag: str = DAG) -> None:
        eventually(lambda: self.api.call("GET", f"{self._path(run, dag)}/taskInstances/{task}")["state"] == state)

    def mark_failed(self, run: str, task: str | None = None) -> None:
        if task is None:
            self.api.call("PATCH", self._path(run), {"state": "failed"})
        else:
            self.api.call("PATCH", f"{self._path(run)}/taskInstances/{task}", {"new_state": "failed"})

    def _finished(self, run: str, dag: str) -> str | None:
        state = self.api.call("GET", self._path(run, dag))["state"]
        return state if state in ("success", "failed") else None

    def _path(self, run: str, dag: str = DAG) -> str:
        return f"/api/v2/dags/{dag}/dagRuns/{urllib.parse.quote(run, safe='')}"


def eventually(ask: Any, within: float = 120.0) -> Any:
    """Seldom asked: the API server works for everybody here."""
    return wait_until(ask, within, pause=0.3)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("home")
    for spec in (SPEC, ASKING):
        folder = home / "models" / str(spec["model"])
        folder.mkdir(parents=True)
        (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
        (folder / "features.py").write_text("def features(row):\n    return {'x': row['x']}\n")
    settings = Settings(project=PROJECT, home=home, models=home / "models", airflow_port=free_port())
    create_secrets(home)
    with running(settings, environment(settings)):
        yield Airflow(settings, Wiring(settings), environment(settings))


def environment(settings: Settings) -> dict[str, str]:
    database = f"sqlite:///{settings.home / 'airflow' / 'airflow.db'}"
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent / "stand_in"),
        **settings.to_environment(),
        **airflow_environment(settings, database),
    }


@contextlib.contextmanager
def running(settings: Settings, env: dict[str, str]) -> Iterator[None]:
    """All parts of an Airflow, healthy, with its pools."""
    (settings.home / "airflow").mkdir()
    run([*command("db", "migrate")], env)
    started = [start(settings, env, part) for part in PARTS]
    try:
        url = f"http://127.0.0.1:{settings.airflow_port}"
        eventually(lambda: healthy(url), within=400.0)
        passwords = secret_file(settings.home, PASSWORDS)
        module = ["-m", "sluicegate_airflow.apply_settings", str(PROJECT / "airflow_settings.yaml")]
        paths = {"PYTHONPATH": str(PROJECT / "plugins")}
        run([sys.executable, *module, "--url", url, "--passwords", str(passwords)], env | paths)
        yield
    finally:
        for part in started:
            part.terminate()
        for part in started:
            part.wait(timeout=120)


def start(settings: Settings, env: dict[str, str], part: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    with (settings.home / f"{part[0]}.log").open("w") as log:
        return subprocess.Popen(command(*part), env=env, cwd=settings.home, stdout=log, stderr=subprocess.STDOUT)


def command(*words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "airflow"), *words]


def run(words: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def healthy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:
        parts = json.load(answer)
    return all(part["status"] == "healthy" for part in parts.values())


@pytest.fixture
def champion(airflow: Airflow) -> str:
    """Some version is in service."""
    airflow.script()
    if champion_version(airflow.ports, "toy") is None:
        eventually(lambda: any(d["dag_id"] == DAG for d in airflow.api.call("GET", "/api/v2/dags")["dags"]))
        state, tasks = airflow.end(airflow.start())
        assert (state, tasks["first_version"], tasks["mirror.enter"], tasks["promote"]) == (
            "success",
            *["success", "skipped", "success"],
        )
    return str(champion_version(airflow.ports, "toy"))


def reverted(airflow: Airflow, champion: str) -> str:
    """Reason of the last rollout, which was reverted and left nothing behind."""
    state = status(airflow.ports, "toy")
    route = json.loads((airflow.settings.home / "route.json").read_text())
    assert (str(state.outcome), route["weight"], route["mirror"]) == ("REVERTED", 0, 0)
    assert champion_version(airflow.ports, "toy") == champion
    assert json.loads((airflow.settings.home / "servers.json").read_text()) == [champion]
    assert airflow.ports.journal.locks().get("toy") is None
    return state.reason


def test_a_candidate_that_passes_every_gate_is_promoted_and_the_old_champion_retired(airflow, champion) -> None:
    state, tasks = airflow.end(airflow.start())
    assert state == "success"
    assert {t for t, s in tasks.items() if s == "skipped"} == {"first_version", "revert"}
    assert set(tasks.values()) == {"success", "skipped"}
    assert champion_version(airflow.ports, "toy") == str(airflow.versions)
    assert status(airflow.ports, "toy").retired


def test_a_gate_that_sees_harm_skips_to_revert_and_the_run_is_a_success(airflow, champion) -> None:
    airflow.script(verdicts={"1": "FAIL"})
    state, tasks = airflow.end(airflow.start())
    assert (state, tasks["weight_005.gate"], tasks["weight_100.enter"], tasks["promote"]) == (
        "success",
        "success",
        "skipped",
        "skipped",
    )
    assert (tasks["revert"], tasks["outcome"], tasks["retire"]) == ("success", "success", "skipped")
    assert reverted(airflow, champion) == "fail"


def test_a_task_that_fails_leads_to_revert(airflow, champion) -> None:
    airflow.script(broken="deploy")
    state, tasks = airflow.end(airflow.start())
    assert (state, tasks["deploy"], tasks["promote"], tasks["revert"]) == ("success", "failed", "upstream_failed", "success")
    assert status(airflow.ports, "toy").reason == "task_failed"


def test_a_gate_that_a_person_marks_failed_leads_to_revert(airflow, champion) -> None:
    airflow.script(verdicts={"1": "INCONCLUSIVE"})
    run = airflow.start()
    airflow.wait_for(run, "weight_005.gate", "deferred")
    airflow.mark_failed(run, "weight_005.gate")
    _, tasks = airflow.end(run)
    assert (tasks["weight_005.gate"], tasks["revert"], tasks["outcome"]) == ("failed", "success", "success")
    assert reverted(airflow, champion) == "task_failed"


def test_a_run_that_a_person_marks_failed_is_reverted_all_the_same(airflow, champion) -> None:
    airflow.script(verdicts={"1": "INCONCLUSIVE"})
    run = airflow.start()
    airflow.wait_for(run, "weight_005.gate", "deferred")
    airflow.mark_failed(run)
    eventually(lambda: not status(airflow.ports, "toy").open)
    _, tasks = airflow.end(run)
    assert (tasks["revert"], tasks["promote"]) == ("success", "skipped")
    assert reverted(airflow, champion) == "task_failed"


def kinds(airflow: Airflow, model: str = "toy") -> list[str]:
    return [e.kind for e in airflow.ports.journal.events(model, status(airflow.ports, model).rollout_id)]


def test_a_pause_from_the_ui_is_seen_by_the_waiting_gate_and_a_resume_from_the_command_line_too(airflow, champion) -> None:
    airflow.script(verdicts={"1": "INCONCLUSIVE"})
    run = airflow.start()
    airflow.wait_for(run, "weight_005.gate", "deferred")
    assert airflow.operate("pause", "let me look") == "success"
    event = airflow.ports.journal.events("toy", kinds=("PAUSED",))[-1]
    assert (event.author, event.reason) == ("airflow-user:admin", "let me look")
    airflow.script()
    looks = kinds(airflow).count("EVIDENCE")
    eventually(lambda: kinds(airflow).count("EVIDENCE") > looks + 5)
    assert status(airflow.ports, "toy").records[-1].verdict is None
    assert airflow.cli("resume", "toy", "--reason", "looks fine") == 0
    state, tasks = airflow.end(run)
    assert (state, tasks["promote"], champion_version(airflow.ports, "toy")) == ("success", "success", str(airflow.versions))


def test_an_abort_from_the_command_line_ends_the_run_that_waits(airflow, champion) -> None:
    airflow.script(verdicts={"1": "INCONCLUSIVE"})
    run = airflow.start()
    airflow.wait_for(run, "weight_005.gate", "deferred")
    assert airflow.cli("abort", "toy", "--reason", "wrong data") == 0
    state, tasks = airflow.end(run)
    assert (state, tasks["weight_005.gate"], tasks["outcome"]) == ("success", "success", "success")
    assert (str(status(airflow.ports, "toy").outcome), champion_version(airflow.ports, "toy")) == ("ABORTED", champion)


def test_what_makes_no_sense_now_fails_its_run_and_changes_nothing(airflow, champion) -> None:
    before = kinds(airflow)
    assert airflow.operate("resume") == "failed"
    assert kinds(airflow) == before


def test_a_stage_that_asks_waits_for_a_yes_and_after_the_promotion_the_ui_brings_the_old_champion_back(airflow) -> None:
    airflow.script()
    assert airflow.end(airflow.start("asking"), "asking_release")[0] == "success"
    old = champion_version(airflow.ports, "asking")
    run = airflow.start("asking")
    eventually(lambda: "APPROVAL_ASKED" in kinds(airflow, "asking"))
    assert status(airflow.ports, "asking").records[-1].verdict is None
    assert airflow.operate("approve", model="asking") == "success"
    airflow.wait_for(run, "retention", "deferred", "asking_release")
    assert champion_version(airflow.ports, "asking") == str(airflow.versions)
    assert airflow.operate("revert", "customers call", "asking") == "success"
    state, tasks = airflow.end(run, "asking_release")
    assert (state, tasks["retention"], tasks["retire"]) == ("success", "success", "skipped")
    assert champion_version(airflow.ports, "asking") == old
    assert json.loads((airflow.settings.home / "route.json").read_text())["champion"]["version"] == old
