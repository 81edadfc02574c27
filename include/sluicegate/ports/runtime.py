"""Model servers: one per version, started and stopped as such."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluicegate.domain.route import Target


@dataclass(frozen=True)
class ServerStatus:
    """A server that should be running."""

    model: str
    target: Target
    running: bool
    ready: bool
    """Deep health passed: golden outputs reproduced through the real inference path."""
    detail: str = ""


class Runtime(Protocol):
    def start(self, model: str, version: str, package: Path) -> Target:
        """Start the server of a version; starting again returns the running one. Does not wait until it is ready."""
        ...

    def status(self, model: str) -> list[ServerStatus]:
        """All servers of the model that should be running."""
        ...

    def stop(self, model: str, version: str) -> None:
        """Stop it after its requests in flight are answered; stopping again changes nothing."""
        ...
