"""Model servers as programs of the local supervisord: one configuration file a server, so that a restarted supervisor goes on."""

import fcntl
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluicegate.domain.route import Target
from sluicegate.domain.servers import refuse_names
from sluicegate.errors import RefusedError, UnavailableError
from sluicegate.ports.runtime import ServerStatus
from sluicegate.settings import Settings
from sluicegate.supervisord import Supervisord


class SupervisorRuntime:
    """Implements the Runtime port over supervisord's own interface."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._supervisord = Supervisord(settings)
        self._servers = self._supervisord.folder

    def start(self, model: str, version: str, package: Path) -> Target:
        name = _name(model, version)
        with self._locked():
            known = self._target(name)
            if known is not None:
                self._supervisord.ensure(name)
                return known
            target = Target(version, self._settings.host, self._free_port())
            self._write(name, target)
            self._supervisord.add(name, self._command(model, target, package))
        return target

    def scale(self, model: str, version: str, servers: int) -> int:
        """One server a version is all that one machine has; it takes what cores there are."""
        if self._target(_name(model, version)) is None:
            raise RefusedError(f"version {version} of model '{model}' has no server: deploy it first")
        return 1

    def status(self, model: str) -> list[ServerStatus]:
        names = sorted(path.stem for path in self._servers.glob(f"{model}-*.json"))
        found = [(name, target) for name in names if (target := self._target(name)) is not None]
        return [self._status(model, name, target) for name, target in found]

    def stop(self, model: str, version: str) -> None:
        name = _name(model, version)
        with self._locked():
            self._supervisord.remove(name)
            (self._servers / f"{name}.json").unlink(missing_ok=True)

    def _write(self, name: str, target: Target) -> None:
        """Where the server listens; written before it starts, so that its port is never given twice."""
        place = {"version": target.version, "host": target.host, "port": target.port}
        (self._servers / f"{name}.json").write_text(json.dumps(place))

    def _command(self, model: str, target: Target, package: Path) -> tuple[object, ...]:
        logs = self._settings.predictions / model / target.version
        what = ("--package", package, "--model", model, "--version", target.version)
        return (
            sys.executable,
            "-m",
            "sluicegate",
            "serve",
            *what,
            "--host",
            target.host,
            "--port",
            target.port,
            "--log-dir",
            logs,
        )

    def _status(self, model: str, name: str, target: Target) -> ServerStatus:
        try:
            running = self._supervisord.state(name) == "RUNNING"
        except UnavailableError:
            running = False
        ready, detail = _deep_health(target) if running else (False, f"the process is not running: see {name}.log")
        return ServerStatus(model, target, running, ready, detail, servers=int(ready))

    def _target(self, name: str) -> Target | None:
        try:
            raw = json.loads((self._servers / f"{name}.json").read_text())
        except FileNotFoundError:
            return None
        return Target(raw["version"], raw["host"], raw["port"])

    def _free_port(self) -> int:
        used = {json.loads(path.read_text())["port"] for path in self._servers.glob("*.json")}
        for port in range(*self._settings.server_ports):
            if port not in used and _bindable(self._settings.host, port):
                return port
        low, high = self._settings.server_ports
        raise UnavailableError(f"no port from {low} to {high - 1} is free for a model server: set SLUICEGATE_SERVER_PORT")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._servers.mkdir(parents=True, exist_ok=True)
        with (self._servers / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _name(model: str, version: str) -> str:
    refuse_names(model, version)
    return f"{model}-{version}"


def _bindable(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _deep_health(target: Target) -> tuple[bool, str]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        return answer.status == 200, body[:300]
    except OSError as e:
        return False, f"{target.address} does not answer: {e}"
    finally:
        connection.close()
