"""The verbs of the local stack where nothing runs yet: ports are checked first, and every refusal is one sentence."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sluicegate.domain.order import Order
from sluicegate.local import stack
from sluicegate.local.__main__ import main
from sluicegate.local.programs import ports_needed
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port
from sluicegate.wiring import wire

PORTS = ("AIRFLOW", "MLFLOW", "GATEWAY", "GATEWAY_ADMIN")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation of its own that was never started; children read it from the environment."""
    monkeypatch.setenv("SLUICEGATE_HOME", str(tmp_path / "home"))
    for name in PORTS:
        monkeypatch.setenv(f"SLUICEGATE_{name}_PORT", str(free_port()))
    return Settings.from_environment()


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """Somebody else's server."""
    with socket.create_server((request.param, 0)) as server:
        yield server


def left_running(home: Path) -> list[str]:
    """Command lines of the processes that belong to an installation."""
    return [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["environ", "cmdline"]) if home_of(p) == str(home)]


def home_of(process: psutil.Process) -> str | None:
    if process.pid == os.getpid():
        return None
    return (process.info["environ"] or {}).get("SLUICEGATE_HOME")


class TestUp:
    @pytest.mark.parametrize("name", PORTS)
    def test_a_taken_port_is_one_sentence_that_names_it_and_how_to_move_it(
        self,
        settings: Settings,
        listener: socket.socket,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        port = listener.getsockname()[1]
        monkeypatch.setenv(f"SLUICEGATE_{name}_PORT", str(port))
        assert main(["up"]) == 1
        said = capsys.readouterr()
        assert said.err.splitlines() == [said.err.strip()]
        assert f"port {port} for " in said.err
        assert f"free it or set SLUICEGATE_{name}_PORT to another" in said.err

    def test_after_a_refusal_nothing_runs_and_nothing_was_written(
        self, settings: Settings, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SLUICEGATE_MLFLOW_PORT", str(listener.getsockname()[1]))
        assert main(["up"]) == 1
        assert not stack.running(settings)
        assert left_running(settings.home) == []
        assert not settings.home.exists()

    def test_a_port_given_twice_is_refused_before_anything_starts(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("SLUICEGATE_MLFLOW_PORT", str(settings.airflow_port))
        assert main(["up"]) == 1
        assert f"port {settings.airflow_port} is given to Airflow and to MLflow" in capsys.readouterr().err

    @pytest.mark.parametrize("value", ["http", "0", "70000", "-1", "80 80", ""])
    def test_a_port_that_is_none_is_refused_with_its_variable_and_value(
        self, settings: Settings, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("SLUICEGATE_GATEWAY_PORT", value)
        assert main(["up"]) == 1
        assert f"SLUICEGATE_GATEWAY_PORT is '{value}': write a port between 1 and 65535" in capsys.readouterr().err


class TestWhereNothingRuns:
    def test_down_says_so_and_succeeds(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["down"]) == 0
        assert "nothing runs" in capsys.readouterr().out

    def test_status_lists_every_program_as_stopped(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert sum(" STOPPED " in line for line in lines) == 8
        assert all(f":{port}" in "".join(lines) for port, _ in ports_needed(settings).values())

    def test_an_unknown_verb_is_told_the_known_ones(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["restart"]) == 2
        assert "up|down|status" in capsys.readouterr().err


def test_down_stops_an_order_that_outlived_its_submitter(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLUICEGATE_MODELS", str(tmp_path / "models"))
    (tmp_path / "models" / "slow").mkdir(parents=True)
    os.mkfifo(tmp_path / "models" / "slow" / "spec.yaml")  # a read of it never ends, so neither does the training
    orders, order = wire(Settings.from_environment()).orders, Order("train", "slow", TRAINING)
    orders.submit(order)
    pid = int((settings.orders / order.key / "pid").read_text())
    try:
        assert orders.status(order).state == "running"
        stack.down(settings)
        assert orders.status(order).state == "failed"
        assert left_running(settings.home) == []
    finally:
        end(pid)


class TestProcessesThatLostTheirSupervisor:
    """As after kill -9 of supervisord."""

    def test_down_ends_what_carries_the_installation_in_its_environment(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        marks = {"SLUICEGATE_HOME": str(settings.home), "AIRFLOW_HOME": str(settings.home / "airflow")}
        with process(["sleep", "60"], env=marks) as lost:
            assert main(["down"]) == 0
            assert lost.wait(timeout=1) == -signal.SIGTERM
        assert "nothing of the stack runs any more" in capsys.readouterr().out

    def test_down_ends_the_parts_of_airflow_that_wrote_a_title_over_their_environment(self, settings: Settings) -> None:
        settings.home.mkdir()
        with process(["airflow api_server", "60"], executable=shutil.which("sleep"), cwd=settings.home) as lost:
            assert main(["down"]) == 0
            assert lost.wait(timeout=1) == -signal.SIGTERM

    def test_down_leaves_a_persons_shell_alone(self, settings: Settings) -> None:
        settings.home.mkdir()
        with process(["sleep", "60"], env={"SLUICEGATE_HOME": str(settings.home)}, cwd=settings.home) as shell:
            assert main(["down"]) == 0
            assert shell.poll() is None


@contextlib.contextmanager
def process(command: list[str], **kwargs: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is gone afterwards; a thread waits for it, so that it does not stay a zombie."""
    child = subprocess.Popen(command, **kwargs)
    reaper = threading.Thread(target=child.wait)
    reaper.start()
    try:
        yield child
    finally:
        child.kill()
        reaper.join()


TRAINING = {"snapshot_id": "none", "spec_digest": "none", "features_digest": "none", "seed": 0}


def end(pid: int) -> None:
    """Whatever happened above: no process stays behind."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
