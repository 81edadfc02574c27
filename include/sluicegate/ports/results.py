"""Committed results of orders: a folder a content key, complete once its commit marker is there."""

from pathlib import Path
from typing import Protocol


class Results(Protocol):
    def find(self, key: str) -> Path | None:
        """Folder of the committed result (result.json and files), or None."""
        ...

    def keys(self) -> list[str]:
        """Content keys of all committed results, in order."""
        ...

    def commit(self, key: str, folder: Path) -> Path:
        """Publish the folder under the key, commit marker last; the first commit wins and later ones return it."""
        ...
