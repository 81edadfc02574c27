"""Processes of an installation that lost their supervisor: it was killed, they were not. Linux only: elsewhere none are found.

They carry the installation in their environment. Those of Airflow that write a title over it still work in the home.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from sluicegate.errors import UnavailableError

POLITE, RUDE = 10.0, 5.0
"""Seconds between SIGTERM and SIGKILL, and after that."""


def survivors(home: Path) -> list[int]:
    """Process ids. A person's shell is none, not even with SLUICEGATE_HOME exported."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if pid != os.getpid() and _belongs(pid, home)]


def end_survivors(home: Path) -> int:
    """End them and wait until they are gone; returns how many there were."""
    found = survivors(home)
    for number, patience in ((signal.SIGTERM, POLITE), (signal.SIGKILL, RUDE)):
        for pid in survivors(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + patience
        while survivors(home) and time.monotonic() < until:
            time.sleep(0.1)
    if left := survivors(home):
        raise UnavailableError(
            f"the processes {', '.join(map(str, left))} do not end: look why with ps, then run make down again"
        )
    return len(found)


def end_predecessors(*marks: str) -> None:
    """End every other process that has all these marks (NAME=value) in its environment; nothing of it is worth a farewell."""
    wanted = {os.fsencode(mark) for mark in marks}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and wanted <= set(entry.joinpath("environ").read_bytes().split(b"\0")):
                os.kill(int(entry.name), signal.SIGKILL)


def _belongs(pid: int, home: Path) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        environment = process.joinpath("environ").read_bytes().split(b"\0")
        titled = process.joinpath("cmdline").read_bytes().startswith(b"airflow ")
        place = process.joinpath("cwd").readlink()
    except OSError:  # ended meanwhile, or another user's
        return False
    marks = {b"SLUICEGATE_HOME=" + os.fsencode(home), b"AIRFLOW_HOME=" + os.fsencode(home / "airflow")}
    return marks <= set(environment) or (titled and place == home)
