"""The landing area: where producers drop files of labels, and from where ingest takes each exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Arrival:
    """A file that landed. `batch_id` is the SHA-256 of its bytes (32 hex digits): the same bytes are the same batch."""

    model: str
    batch_id: str
    name: str
    """As the producer named it; what cannot be printed is escaped."""
    size: int
    """Bytes."""
    arrived_at: float
    """Seconds since the epoch."""


class Landing(Protocol):
    def drop(self, model: str, name: str, source: Path) -> str:
        """What a producer does: the file appears whole or not at all. Returns its name, numbered when the name is still waiting."""
        ...

    def look(self, model: str) -> Mapping[str, str]:
        """Names in the area now, as they are shown, with a mark that changes when the file does. Cheap: no content is read."""
        ...

    def waiting(self, model: str) -> list[Arrival]:
        """Files that landed whole and are not yet taken, oldest first."""
        ...

    def take(self, arrival: Arrival) -> Path:
        """Move the file to its immutable place under its batch id and return that; taking again returns the same.

        Raises RefusedError when the file changed since it was seen: it stays where it is and waits under its new batch id.
        """
        ...

    def taken(self, model: str) -> list[Arrival]:
        """Every file ever taken, oldest first; the same bytes taken again are still one."""
        ...
