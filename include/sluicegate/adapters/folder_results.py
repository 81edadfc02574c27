"""Committed results of orders in a local folder: results/<key>/ with the work's files and, as commit marker, COMMITTED."""

from pathlib import Path

from sluicegate.errors import UnavailableError
from sluicegate.folders import child, publish
from sluicegate.settings import Settings

MARKER = "COMMITTED"


class FolderResults:
    """Implements the Results port."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.results

    def find(self, key: str) -> Path | None:
        folder = child(self._root, key)
        return folder if (folder / MARKER).is_file() else None

    def keys(self) -> list[str]:
        return sorted(marker.parent.name for marker in self._root.glob(f"[!.]*/{MARKER}"))

    def commit(self, key: str, folder: Path) -> Path:
        publish(folder, child(self._root, key), {MARKER: key})
        found = self.find(key)
        if found is None:
            raise UnavailableError(
                f"results/{key} is there without its marker {MARKER}: somebody else writes there; move it away"
            )
        return found
