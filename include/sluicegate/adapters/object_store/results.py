"""Committed results of orders: results/."""

from pathlib import Path

from sluicegate.adapters.object_store.shelf import Shelf
from sluicegate.errors import UnavailableError

KIND = "results"


class ObjectResults:
    """Implements the Results port."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def find(self, key: str) -> Path | None:
        return self._shelf.fetch(KIND, key)

    def keys(self) -> list[str]:
        return sorted(self._shelf.markers(KIND))

    def commit(self, key: str, folder: Path) -> Path:
        self._shelf.commit(KIND, key, folder)
        found = self.find(key)
        if found is None:
            raise UnavailableError(f"the result {key} was committed and is gone: somebody removes objects from the store")
        return found
