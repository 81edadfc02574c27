"""The fake runtime: servers that are ready at once, unless a test calls them broken."""

from pathlib import Path

from sluicegate.domain.route import Target
from sluicegate.domain.servers import refuse_names
from sluicegate.errors import RefusedError
from sluicegate.ports.runtime import ServerStatus


class MemoryRuntime:
    """Implements the Runtime port. Versions named in `broken` start and never become ready; of one version `room` servers do."""

    def __init__(self, broken: tuple[str, ...] = (), room: int = 100) -> None:
        self.broken, self.room = broken, room
        self._servers: dict[tuple[str, str], Target] = {}
        self._wanted: dict[tuple[str, str], int] = {}

    def start(self, model: str, version: str, package: Path) -> Target:
        refuse_names(model, version)
        self._wanted.setdefault((model, version), 1)
        return self._servers.setdefault((model, version), Target(version, "127.0.0.1", 9000 + len(self._servers)))

    def scale(self, model: str, version: str, servers: int) -> int:
        refuse_names(model, version)
        if (model, version) not in self._servers:
            raise RefusedError(f"version {version} of model '{model}' has no server: deploy it first")
        self._wanted[model, version] = max(servers, self._wanted[model, version])
        return servers

    def status(self, model: str) -> list[ServerStatus]:
        return [self._status(*key) for key in self._servers if key[0] == model]

    def stop(self, model: str, version: str) -> None:
        refuse_names(model, version)
        self._servers.pop((model, version), None)
        self._wanted.pop((model, version), None)

    def _status(self, model: str, version: str) -> ServerStatus:
        wanted = self._wanted[model, version]
        servers = 0 if version in self.broken else min(wanted, self.room)
        detail = "golden outputs differ" if version in self.broken else "" if servers == wanted else "no node takes the server"
        return ServerStatus(model, self._servers[model, version], True, servers > 0, detail, servers, wanted)
