"""Who can be hit, how, and when it is over. Everything is found by pid in this installation; nothing is found by name alone."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil

from sluicegate.errors import UnavailableError
from sluicegate.local.stack import down, up
from sluicegate.settings import Settings
from sluicegate.supervisord import Supervisord
from sluicegate.testing.postgres import PostgresServer
from sluicegate.testing.waiting import wait_until

PROGRAMS = {
    "scheduler": "airflow-scheduler",
    "triggerer": "airflow-triggerer",
    "api": "airflow-api",
    "dags": "airflow-dags",
    "gateway": "gateway",
    "guard": "guard",
    "sweep": "sweep",
    "mlflow": "mlflow",
}
"""Target → program of the supervisor."""
SERVERS = ("champion", "candidate")
KILLED = (*PROGRAMS, *SERVERS, "worker", "task", "supervisor")
WORKING = (*KILLED[:-1], "order")
"""What can be killed while data are taken and a model is trained."""
STOPPED = (*PROGRAMS, *SERVERS)
OTHERS = {"journal": "lock", "airflow-database": "lock", "gateway-disk": "fill", "postgres": "restart"}
"""Target → the only thing that can be done to it."""
BACK_WITHIN = 120.0
BUSY_WITHIN = 10.0
WORKER = "airflow worker"
"""How Airflow titles a process of its LocalExecutor; a child of it carries out a task."""
FILLER = ".filler"


class Target:
    """Everything of one installation that can be hit."""

    def __init__(self, settings: Settings, postgres: PostgresServer | None = None) -> None:
        self._settings, self._postgres = settings, postgres
        self._supervisord = Supervisord(settings)

    def kill(self, name: str, lane: str, version: str) -> Callable[[], None]:
        """kill -9; the answer waits until what the supervisor restarts is back."""
        if name == "supervisor":
            os.kill(int((self._settings.supervisor / "supervisord.pid").read_text()), signal.SIGKILL)
            return self._start_again
        if name == "order":
            os.killpg(self.order()[0], signal.SIGKILL)
            return lambda: None
        if name in ("worker", "task"):
            os.kill(self.busy(name), signal.SIGKILL)
            return lambda: None
        program = self._program(name, lane, version)
        old = psutil.Process(self.pid(program))
        family = [old, *old.children(recursive=True)]
        old.kill()
        return lambda: self._wait_back(program, family)

    def stop(self, name: str, lane: str, version: str, seconds: float) -> Callable[[], None]:
        """SIGSTOP for so long, then SIGCONT; children go on, as with a process that hangs."""
        pid = self.pid(self._program(name, lane, version))
        os.kill(pid, signal.SIGSTOP)

        def over() -> None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        return over

    def lock(self, name: str, seconds: float) -> Callable[[], None]:
        """Nobody can write the database for so long, or read it while somebody else writes."""
        path = self._settings.home / ("journal.db" if name == "journal" else "airflow/airflow.db")
        database = sqlite3.connect(path, timeout=30, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")

        def over() -> None:
            time.sleep(seconds)
            database.execute("ROLLBACK")
            database.close()

        return over

    def restart(self, seconds: float) -> Callable[[], None]:
        """The database server of Airflow and the journal crashes and is away for so long; over when Airflow has come back to it."""
        if self._postgres is None:
            raise LookupError("the installation has no PostgreSQL")
        postgres = self._postgres
        postgres.stop("immediate")

        def over() -> None:
            time.sleep(seconds)
            postgres.start()
            self._wait_beating(time.time())

        return over

    def fill(self, seconds: float) -> Callable[[], None]:
        """No room in the gateway's folder, which is a small file system of its own."""
        path = self._settings.gateway / FILLER
        with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass

        def over() -> None:
            time.sleep(seconds)
            path.unlink()

        return over

    def busy(self, what: str) -> int:
        """Pid of a `worker` that has a task in hand, or of the process of the `task` itself; LookupError when none comes."""
        try:
            worker, task = wait_until(self._carrying_out, BUSY_WITHIN, "a task that is carried out")
        except TimeoutError as late:
            raise LookupError(str(late)) from late
        return worker if what == "worker" else task

    def order(self) -> tuple[int, str]:
        """Pid and action of an order that is being carried out; LookupError when none is."""
        for folder in self._settings.orders.glob("*"):
            with contextlib.suppress(OSError, ValueError, psutil.Error):
                process = psutil.Process(int((folder / "pid").read_text()))
                if str(folder) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    return process.pid, str(json.loads((folder / "order.json").read_text())["action"])
        raise LookupError("no order is carried out")

    def pid(self, program: str) -> int:
        """Pid that the supervisor knows; LookupError when the program does not run."""
        try:
            pid = int(self._supervisord.call("getProcessInfo", program)["pid"])
        except Exception as problem:
            raise LookupError(f"{program} does not run: {problem}") from problem
        if not pid:
            raise LookupError(f"{program} does not run now")
        return pid

    def _carrying_out(self) -> tuple[int, int] | None:
        """Pids of a worker and of the task that it has in hand."""
        for worker in psutil.Process(self.pid(PROGRAMS["scheduler"])).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                tasks = worker.children() if " ".join(worker.cmdline()).startswith(WORKER) else []
                if tasks:
                    return worker.pid, tasks[0].pid
        return None

    def _program(self, name: str, lane: str, version: str) -> str:
        return PROGRAMS.get(name, f"{lane}-{version}")

    def _wait_back(self, program: str, family: list[psutil.Process]) -> None:
        """Until a new process is there; one with a health page answers there itself, not a child that its predecessor left."""

        def back() -> bool:
            with contextlib.suppress(LookupError, UnavailableError, psutil.Error):
                return self.pid(program) != family[0].pid and self._answers(program, family)
            return False

        wait_until(back, BACK_WITHIN, f"{program} back after it was killed", pause=0.02)

    def _wait_beating(self, since: float) -> None:
        """Until scheduler, triggerer and Dag processor have told the database that they live; most end when they lose it."""
        page = f"http://127.0.0.1:{self._settings.airflow_port}/api/v2/monitor/health"

        def beating() -> bool:
            with contextlib.suppress(ValueError, TypeError):
                with urllib.request.urlopen(page, timeout=2) as answer:
                    parts = json.load(answer).values()
                beats = [part[name] for part in parts for name in part if name.startswith("latest_")]
                return len(beats) == 3 and all(datetime.fromisoformat(beat).timestamp() > since for beat in beats)
            return False

        wait_until(beating, BACK_WITHIN, "Airflow at work after its database came back", pause=0.2)

    def _answers(self, program: str, family: list[psutil.Process]) -> bool:
        """Whether a program that has a health page answers there."""
        settings = self._settings
        pages = {"gateway": f"{settings.gateway_admin_port}/ready", "mlflow": f"{settings.mlflow_port}/health"}
        pages["airflow-api"] = f"{settings.airflow_port}/api/v2/version"
        place = pages.get(program) or _server_page(settings.supervisor / "servers" / f"{program}.json")
        if place is None:
            return True
        if any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family):
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{place}", timeout=2) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, OSError):
            return False

    def _start_again(self) -> None:
        """What a person does whose supervisor is gone: everything else still runs, and would run twice."""
        down(self._settings)
        with contextlib.suppress(UnavailableError):  # a machine that is too busy for the start: up again only waits
            return up(self._settings)
        return up(self._settings)


def others(*, disk: bool, postgres: bool) -> tuple[str, ...]:
    """What can be locked, filled or restarted in an installation of this kind."""
    lacking = {"journal", "airflow-database"} if postgres else {"postgres"}
    return tuple(name for name in OTHERS if name not in lacking and (disk or name != "gateway-disk"))


@contextmanager
def database_server(wanted: bool) -> Iterator[PostgresServer | None]:
    """One PostgreSQL for Airflow and the journal, as in production; None when each is to have its SQLite file."""
    if not wanted:
        yield None
        return
    server = PostgresServer()
    try:
        server.start()
        os.environ["SLUICEGATE_AIRFLOW_DATABASE"] = server.database("airflow")
        yield server
    finally:
        os.environ.pop("SLUICEGATE_AIRFLOW_DATABASE", None)
        server.remove()


@contextmanager
def small_disk(folder: Path, megabytes: int = 8) -> Iterator[bool]:
    """A file system of its own at `folder`; False where the system does not allow that."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "sluicegate-faults", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def _server_page(place: Path) -> str | None:
    return f"{json.loads(place.read_text())['port']}/health/ready" if place.exists() else None
