"""A program whose first process was killed is started again, and what that left behind does not stand in its way."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sluicegate.testing.waiting import wait_until

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


def start(home: Path, name: str = "two") -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "sluicegate.local.alone", name, sys.executable, "-c", PARENT]
    process = subprocess.Popen(command, env={**os.environ, "SLUICEGATE_HOME": str(home)})
    wait_until(lambda: len(psutil.Process(process.pid).children()) == 1)
    return process


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[psutil.Process]:
    """The child of a program whose first process was killed."""
    process = start(tmp_path)
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    assert child.is_running()
    yield child
    if child.is_running():
        child.kill()


def end(process: "subprocess.Popen[bytes]") -> None:
    for child in psutil.Process(process.pid).children():
        child.send_signal(signal.SIGKILL)
    process.wait()


def test_successor_ends_what_its_killed_predecessor_left(tmp_path: Path, orphan: psutil.Process) -> None:
    successor = start(tmp_path)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    end(successor)


def test_same_program_of_another_installation_is_left_alone(tmp_path: Path, orphan: psutil.Process) -> None:
    other = start(tmp_path / "elsewhere")
    assert orphan.is_running()
    end(other)


def test_another_program_of_the_installation_is_left_alone(tmp_path: Path, orphan: psutil.Process) -> None:
    other = start(tmp_path, "three")
    assert orphan.is_running()
    end(other)
