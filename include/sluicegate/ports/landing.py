"""The landing area: where producers drop files of labels, and from where ingest takes each exactly once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Arrival:
    """A file that landed. `batch_id` is the SHA-256 of its bytes (32 hex digits): the same bytes are the same batch."""

    model: str
    batch_id: str
    name: str
    size: int
    """Bytes."""
    arrived_at: float
    """Seconds since the epoch."""


class Landing(Protocol):
    def drop(self, model: str, name: str, source: Path) -> None:
        """What a producer does: the file appears whole or not at all."""
        ...

    def waiting(self, model: str) -> list[Arrival]:
        """Files that landed and are not yet taken, oldest first."""
        ...

    def take(self, arrival: Arrival) -> Path:
        """Move the file to its immutable place under its batch id and return that; taking again returns the same."""
        ...
