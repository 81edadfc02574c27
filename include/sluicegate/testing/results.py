"""Results that are remembered by a dictionary; their files are copied under a folder."""

import shutil
from pathlib import Path


class MemoryResults:
    """Implements the Results port."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, Path] = {}

    def find(self, key: str) -> Path | None:
        return self._known.get(key)

    def keys(self) -> list[str]:
        return sorted(self._known)

    def commit(self, key: str, folder: Path) -> Path:
        if key not in self._known:
            shutil.copytree(folder, self._root / key)
            self._known[key] = self._root / key
        return self._known[key]
