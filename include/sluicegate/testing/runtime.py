"""The fake runtime: servers that are ready at once, unless a test calls them broken."""

from pathlib import Path

from sluicegate.domain.route import Target
from sluicegate.ports.runtime import ServerStatus


class MemoryRuntime:
    """Implements the Runtime port. Versions named in `broken` start and never become ready."""

    def __init__(self, broken: tuple[str, ...] = ()) -> None:
        self.broken = broken
        self._servers: dict[tuple[str, str], Target] = {}

    def start(self, model: str, version: str, package: Path) -> Target:
        return self._servers.setdefault((model, version), Target(version, "127.0.0.1", 9000 + len(self._servers)))

    def status(self, model: str) -> list[ServerStatus]:
        mine = [target for (name, _), target in self._servers.items() if name == model]
        return [ServerStatus(model, t, True, t.version not in self.broken, self._detail(t)) for t in mine]

    def stop(self, model: str, version: str) -> None:
        self._servers.pop((model, version), None)

    def _detail(self, target: Target) -> str:
        return "golden outputs differ" if target.version in self.broken else ""
