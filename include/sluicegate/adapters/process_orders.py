"""Orders in supervised process groups of this machine.

Each order has a folder home/orders/<key>/ with order.json, the log and a lock file. The worker process inherits the locked
descriptor, so the lock is held exactly as long as it lives, whoever started it; kill -9 of the submitter changes nothing.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
from pathlib import Path

from sluicegate.domain.order import Order
from sluicegate.ports.orders import OrderStatus
from sluicegate.ports.results import Results
from sluicegate.settings import Settings


class ProcessOrders:
    """Implements the Orders port with `python -m sluicegate order FILE` as a process group of its own."""

    def __init__(self, settings: Settings, results: Results) -> None:
        self._root = settings.orders
        self._results = results

    def submit(self, order: Order) -> None:
        if self._results.find(order.key) is not None:
            return
        folder = self._folder(order)
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if _taken(lock):
                return
            (folder / "error.json").unlink(missing_ok=True)
            _write(folder / "order.json", order.to_json())
            self._start(folder, lock)
        finally:
            os.close(lock)

    def status(self, order: Order) -> OrderStatus:
        folder = self._folder(order)
        log = str(folder / "log")
        _reap(folder)
        running = _running(folder)  # before the result: a worker that commits and ends in between is then done, never failed
        found = self._results.find(order.key)
        if found is not None:
            return OrderStatus("done", result=json.loads((found / "result.json").read_text()), log=log)
        if running:
            return OrderStatus("running", log=log)
        if not (folder / "order.json").exists():
            return OrderStatus("absent")
        message, kind = _failure(folder)
        return OrderStatus("failed", message=message, kind=kind, log=log)

    def cancel(self, order: Order) -> None:
        folder = self._folder(order)
        if _running(folder):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
                os.killpg(int((folder / "pid").read_text()), signal.SIGTERM)

    def _folder(self, order: Order) -> Path:
        return self._root / order.key

    def _start(self, folder: Path, lock: int) -> None:
        """Spawn the worker as leader of its own session; it inherits the locked descriptor and the log."""
        command = [sys.executable, "-m", "sluicegate", "order", str(folder / "order.json")]
        os.set_inheritable(lock, True)
        log = os.open(folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        empty = os.open(os.devnull, os.O_RDONLY)
        try:
            streams = [(os.POSIX_SPAWN_DUP2, empty, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
            pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=streams, setsid=True)
        finally:
            os.close(log)
            os.close(empty)
        _write(folder / "pid", str(pid))


def _reap(folder: Path) -> None:
    """Let a finished worker of this very process go; a worker of another submitter is not ours to wait for."""
    with contextlib.suppress(OSError, ValueError):
        os.waitpid(int((folder / "pid").read_text()), os.WNOHANG)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _running(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _taken(lock)
    finally:
        os.close(lock)


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _failure(folder: Path) -> tuple[str, str]:
    """Message and name of the error that ended the work."""
    try:
        error = json.loads((folder / "error.json").read_text())
        return str(error["message"]), str(error["kind"])
    except (OSError, ValueError, KeyError):
        return f"the work ended without a result and without a reason (killed?): see {folder / 'log'}", ""
