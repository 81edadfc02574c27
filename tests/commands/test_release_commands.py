"""The command line as real processes while everything else is gone: no Airflow, no supervisord, no MLflow; journal or gateway too."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluicegate.actions.release import deploy, enter_stage, open_rollout, promote, rollout
from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.commands import DONE, REFUSED, UNAVAILABLE, UNFINISHED
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.incidents import MemoryIncidents
from sluicegate.testing.meter import SyntheticMeter
from sluicegate.testing.ports import AliasesOnly
from sluicegate.testing.rollouts import PREDICTED, SPEC
from sluicegate.testing.runtime import MemoryRuntime
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring

WRONG_USAGE = 2
WHY = ("--reason", "customers call", "--author", "anna")
NO_FOLDER = "sqlite:////nowhere/journal.db"
NOBODY_LISTENS = "postgresql+psycopg://127.0.0.1:1/gone"


@dataclass(frozen=True)
class Told:
    """What a command said."""

    code: int
    out: str
    err: str


class World(Wiring):
    """A real journal and a real gateway's router; servers, registry and counters are fakes of this process alone."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.runtime, self.registry, self.incidents = MemoryRuntime(), AliasesOnly(), MemoryIncidents()
        self.meter = SyntheticMeter(self.clock, self.router)

    def expose(self) -> str:
        """Version 2 mirrors and then answers 10 % of the users; the rollout's id."""
        for version in ("1", "2"):
            data = {"version": version, "verdict": "promote", "release": True, "predicted": dict(PREDICTED)}
            self.journal.append("toy", "", Kind.REGISTERED, data, author="test")
            opened = open_rollout(self, "toy", version, author="test", run_id=version).rollout_id
            deploy(self, "toy", opened, author="test")
            if version == "1":
                promote(self, "toy", opened, author="test")
        enter_stage(self, "toy", opened, 0, author="test")
        said = {"index": 0, "verdict": "PASS", "reason": "all_gates_pass", "message": ""}
        self.journal.append("toy", opened, Kind.STAGE_DECIDED, said, author="test")
        self.router.enforce(self.clock.now())  # the guard has looked
        enter_stage(self, "toy", opened, 1, author="test")
        return opened

    @property
    def weight(self) -> int:
        route = self.router.read("toy")
        assert route is not None
        return route.weight

    def command(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        env = {**os.environ, **self.settings.to_environment(), **environment}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-m", "sluicegate", *words], env=env, cwd=self.settings.home, **pipes)

    def run(self, *words: str, **environment: str) -> Told:
        process = self.command(*words, **environment)
        out, err = process.communicate(timeout=120)
        return Told(process.returncode, out, err)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "models" / "toy"
    folder.mkdir(parents=True)
    plan = {**SPEC, "release": {**SPEC["release"], "lease": "10m"}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(plan))))
    (folder / "features.py").write_text("def features(row):\n    return {'x': row['x']}\n")
    ports = {"gateway_port": free_port(), "gateway_admin_port": free_port(), "mlflow_port": free_port()}
    return Settings(home=tmp_path / "var", models=tmp_path / "models", **ports)


@pytest.fixture
def gateway(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    settings.home.mkdir()
    prepare(settings)
    with running_gateway(envoy_command(settings), settings.gateway_admin_port, settings.home / "envoy.log") as process:
        yield process


@pytest.fixture
def world(settings: Settings, gateway: object) -> World:
    return World(settings)


@contextlib.contextmanager
def locked(journal: Path) -> Iterator[None]:
    """Another process's transaction that does not end."""
    other = sqlite3.connect(journal, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.gateway
class TestRevertWhileMuchIsGone:
    def test_it_cuts_journals_and_names_what_remains(self, world: World) -> None:
        mine = world.expose()
        assert world.weight == 10
        told = world.run("revert", "toy", *WHY)
        state = rollout(world, "toy", mine)
        assert (told.code, world.weight, state.outcome, state.reason) == (UNFINISHED, 0, Outcome.REVERTED, "customers call")
        assert "cut: version 1 of toy has all traffic (weight was 10 %" in told.out
        assert all(left in told.err for left in ("reverted:server", "reverted:candidate_alias", "ask for the same again"))
        assert "reverted:incident" not in told.err
        assert (world.settings.incidents / "toy" / f"{mine}-reverted.json").is_file()

    def test_a_locked_journal_delays_no_cut(self, world: World) -> None:
        mine = world.expose()
        with locked(world.settings.home / "journal.db"):
            process = world.command("revert", "toy", *WHY)
            wait_until(lambda: world.weight == 0, within=60)
            assert process.poll() is None
        process.communicate(timeout=120)
        assert (process.returncode, rollout(world, "toy", mine).outcome) == (UNFINISHED, Outcome.REVERTED)

    def test_a_journal_that_is_gone_delays_no_cut_which_a_file_keeps_and_asked_again_it_ends_the_rollout(
        self, world: World
    ) -> None:
        mine = world.expose()
        told = world.run("revert", "toy", *WHY, SLUICEGATE_JOURNAL_URL=NOBODY_LISTENS)
        assert (told.code, world.weight) == (UNFINISHED, 0)
        (record,) = (world.settings.incidents / "toy").glob("*-cut-*.json")
        kept = json.loads(record.read_text())
        assert (kept["author"], kept["reason"], kept["numbers"]["weight"]) == ("anna", "customers call", 10)
        assert rollout(world, "toy", mine).open
        assert world.run("revert", "toy", *WHY).code == UNFINISHED
        assert rollout(world, "toy", mine).outcome is Outcome.REVERTED

    def test_a_journal_that_was_deleted_delays_no_cut(self, world: World) -> None:
        world.expose()
        for file in world.settings.home.glob("journal.db*"):
            file.unlink()
        told = world.run("revert", "toy", *WHY)
        assert (told.code, world.weight) == (UNFINISHED, 0)
        assert "no rollout in the journal" in told.err

    def test_a_gateway_that_is_gone_gets_the_cut_when_it_comes_back(
        self, world: World, gateway: "subprocess.Popen[bytes]"
    ) -> None:
        mine = world.expose()
        gateway.send_signal(signal.SIGKILL)
        gateway.wait()
        told = world.run("revert", "toy", *WHY)
        assert (told.code, rollout(world, "toy", mine).cut_at is not None) == (UNFINISHED, True)
        assert "does not confirm" in told.err
        log = world.settings.home / "envoy.log"
        with running_gateway(envoy_command(world.settings), world.settings.gateway_admin_port, log):
            assert EnvoyRouter(world.settings).read("toy").weight == 0
            assert world.run("revert", "toy", *WHY).code == UNFINISHED
        assert rollout(world, "toy", mine).outcome is Outcome.REVERTED


@pytest.mark.gateway
class TestOtherVerbs:
    def test_people_hold_go_on_and_stop_with_nothing_but_journal_and_gateway(self, world: World) -> None:
        mine = world.expose()
        assert world.run("pause", "toy", *WHY).code == DONE
        (facts,) = map(json.loads, world.run("status", "toy", "--json").out.splitlines())
        assert (facts["paused"], facts["weight"], facts["phase"], facts["unavailable"]) == (True, 10, "stage", {})
        assert world.run("resume", "toy", *WHY).code == DONE
        assert world.run("abort", "toy", *WHY).code == UNFINISHED
        assert (rollout(world, "toy", mine).outcome, world.weight) == (Outcome.ABORTED, 0)

    def test_what_makes_no_sense_now_is_one_sentence_and_changes_nothing(self, world: World) -> None:
        world.expose()
        before = len(world.journal.events("toy"))
        for verb in ("resume", "approve", "reinstate", "retire"):
            told = world.run(verb, "toy", *WHY)
            assert (told.code, told.out, len(told.err.splitlines())) == (REFUSED, "", 1)
            assert told.err.startswith("RefusedError: ")
        assert len(world.journal.events("toy")) == before

    def test_a_reason_is_needed_and_the_author_is_the_user_unless_said(self, world: World) -> None:
        mine = world.expose()
        assert world.run("pause", "toy").code == WRONG_USAGE
        world.run("pause", "toy", "--reason", "lunch")
        (event,) = world.journal.events("toy", mine, kinds=(Kind.PAUSED,))
        assert event.author.startswith("cli:")

    def test_history_and_explain_speak_of_what_happened(self, world: World) -> None:
        mine = world.expose()
        world.run("pause", "toy", *WHY)
        lines = [json.loads(line) for line in world.run("history", "--json").out.splitlines()]
        assert (lines[-1]["kind"], lines[-1]["author"], lines[-1]["rollout"]) == ("PAUSED", "anna", mine)
        said = world.run("explain", "toy").out
        assert all(
            part in said for part in ("stage 2 of 4 (10 % of the users)", "p95_ms", "paused by anna: customers call", "`resume`")
        )
        (as_json,) = map(json.loads, world.run("explain", "--json").out.splitlines())
        assert (as_json["verdict"], [g["gate"] for g in as_json["gates"]]) == ("INCONCLUSIVE", ["p95_ms", "error_rate"])


class TestReadingWhileMuchIsGone:
    def test_status_tells_what_does_not_answer_and_the_rest(self, settings: Settings) -> None:
        settings.home.mkdir()
        told = World(settings).run("status", "--json")
        (facts,) = map(json.loads, told.out.splitlines())
        assert (told.code, facts["champion"], facts["weight"], list(facts["unavailable"])) == (DONE, None, None, ["gateway"])

    def test_without_a_journal_status_says_so_by_its_code_too(self, settings: Settings) -> None:
        settings.home.mkdir()
        told = World(settings).run("status", "toy", SLUICEGATE_JOURNAL_URL=NO_FOLDER)
        assert told.code == UNAVAILABLE
        assert "(journal)" in told.out

    @pytest.mark.parametrize("verb", ["pause", "retire"])
    def test_a_verb_without_a_journal_changes_nothing_and_says_so(self, settings: Settings, verb: str) -> None:
        settings.home.mkdir()
        told = World(settings).run(verb, "toy", *WHY, SLUICEGATE_JOURNAL_URL=NO_FOLDER)
        assert (told.code, told.out) == (UNAVAILABLE, "")
