"""Talks to the installation's supervisord: asks it, and gives it programs that come and go.

A program that is added has a configuration file of its own, so that a restarted supervisord goes on with it.
"""

import xmlrpc.client
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings

_PROGRAM = """\
[program:{name}]
command={command}
autorestart={autorestart}
startsecs=0
startretries=1000
stopwaitsecs=10
redirect_stderr=true
stdout_logfile={folder}/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""


class Supervisord:
    """One supervisord, over its own interface."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def folder(self) -> Path:
        """Configuration files of the programs that come and go."""
        return self._settings.supervisor / "servers"

    def call(self, method: str, *arguments: Any) -> Any:
        """One question; XML-RPC has no types. UnavailableError when supervisord does not answer, xmlrpc.client.Fault when it refuses."""
        transport = SupervisorTransport(None, None, f"unix://{self._settings.supervisor_socket}")
        try:
            with xmlrpc.client.ServerProxy("http://supervisor", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except OSError as e:
            raise UnavailableError(
                f"supervisord does not answer on {self._settings.supervisor_socket}: run `make up` ({e})"
            ) from e

    def add(self, name: str, command: Sequence[object], *, autorestart: bool = True) -> None:
        """Start a program, unless it is there already."""
        words = " ".join(f'"{word}"' for word in command)
        values = {"name": name, "command": words, "autorestart": str(autorestart).lower(), "folder": self._settings.supervisor}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.conf").write_text(_PROGRAM.format(**values).replace("%", "%%"))
        self.ensure(name)

    def ensure(self, name: str) -> None:
        """Let supervisord take up a program whose file is there."""
        try:
            self.call("reloadConfig")
            self.call("addProcessGroup", name)
        except xmlrpc.client.Fault as e:
            if "ALREADY_ADDED" not in e.faultString:
                raise UnavailableError(f"supervisord does not start {name}: {e.faultString}") from e

    def remove(self, name: str) -> None:
        """Stop a program and forget it; removing again changes nothing."""
        (self.folder / f"{name}.conf").unlink(missing_ok=True)
        try:
            self.call("stopProcessGroup", name)
            self.call("removeProcessGroup", name)
        except xmlrpc.client.Fault as e:
            if "BAD_NAME" not in e.faultString:
                raise UnavailableError(f"supervisord does not stop {name}: {e.faultString}") from e

    def state(self, name: str) -> str:
        """supervisord's word for it, such as RUNNING or EXITED; ABSENT when it does not know the program."""
        try:
            return str(self.call("getProcessInfo", name)["statename"])
        except xmlrpc.client.Fault:
            return "ABSENT"
