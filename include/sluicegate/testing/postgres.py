"""A private PostgreSQL server for tests: its own folder, a Unix socket, no port. Needs Debian's package `postgresql`."""

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from sluicegate.errors import UnavailableError

ACCOUNT = "postgres"
"""PostgreSQL refuses to run as root: root starts it as this user, whom the package makes."""


def binaries() -> Path | None:
    """Folder of the newest installed initdb, postgres and pg_ctl, or None."""
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    found = [Path(on_path)] if on_path else packaged[-1:]
    return found[0].resolve().parent if found else None


class PostgresServer:
    """One server, from `start` to `remove`. Everything of it lies in one temporary folder."""

    def __init__(self) -> None:
        found = binaries()
        if found is None:
            raise UnavailableError("PostgreSQL is not installed: apt-get install postgresql")
        self._binaries = found
        self._account = ACCOUNT if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="sluicegate-pg-"))
        if self._account:
            shutil.chown(self.folder, self._account)
        self._data = self.folder / "data"
        self._run("initdb", "-D", str(self._data), "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def start(self) -> None:
        """Start and wait until it answers. It does not force writes to the disk: it is to survive its own death, not the machine's."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self.folder / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` ends the clients' transactions, `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop it if it runs, and delete everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, name: str) -> str:
        """URL of a new, empty database."""
        self._run("psql", "-h", str(self.folder), "-U", ACCOUNT, "-q", "-c", f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://{ACCOUNT}@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        errors = self.folder / "errors"
        with errors.open("w") as file:  # not a pipe: the server that pg_ctl starts would keep it open
            done = subprocess.run(
                [self._binaries / program, *arguments],
                user=self._account,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "USER": self._account or getpass.getuser()},
                stdout=subprocess.DEVNULL,
                stderr=file,
                check=False,
            )
        if done.returncode:
            raise UnavailableError(f"PostgreSQL's {program} failed: {errors.read_text()[-500:]}")


def account_exists() -> bool:
    """Whether a server can be started: anybody can but root, who needs the package's user."""
    try:
        return os.geteuid() != 0 or bool(pwd.getpwnam(ACCOUNT))
    except KeyError:
        return False
