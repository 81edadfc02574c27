"""Model servers: one or more a version, started and stopped as such."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluicegate.domain.route import Target


@dataclass(frozen=True)
class ServerStatus:
    """The servers of a version that should be running."""

    model: str
    target: Target
    running: bool
    ready: bool
    """Deep health passed by at least one: golden outputs reproduced through the real inference path."""
    detail: str = ""
    """Why not."""
    servers: int = 1
    """How many are ready."""
    wanted: int = 1
    """How many there should be."""


class Runtime(Protocol):
    def start(self, model: str, version: str, package: Path) -> Target:
        """Start a server of a version; starting again returns the running one. Does not wait until it is ready.

        Raises RefusedError for a name that is none.
        """
        ...

    def scale(self, model: str, version: str, servers: int) -> int:
        """Have at least so many servers of a version that was started, and keep them; returns how many there can be here.

        Does not wait. Never stops one: that follows the load.
        """
        ...

    def status(self, model: str) -> list[ServerStatus]:
        """All versions of the model whose servers should be running."""
        ...

    def stop(self, model: str, version: str) -> None:
        """Stop all of its servers after their requests in flight are answered; stopping again changes nothing."""
        ...
