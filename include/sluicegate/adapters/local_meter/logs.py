"""New lines of one version's growing prediction logs, from a time on. Opening a large log costs a binary search, not a scan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

SLACK = 1.0
"""Seconds by which lines may stand out of the order in which their requests were received."""


class Tail:
    """Remembers how far each file was read."""

    def __init__(self, folder: Path, since: float) -> None:
        self._folder, self._since = folder, since
        self._offsets: dict[Path, int] = {}

    def new(self) -> Iterator[dict[str, Any]]:
        """Entries that were received after `since` and not yet given; a torn last line waits until it is whole."""
        for path in sorted(self._folder.glob("*.jsonl")):
            for entry in self._of(path):
                if entry["received_at"] >= self._since:
                    yield entry

    def _of(self, path: Path) -> Iterator[dict[str, Any]]:
        offset = self._offsets.get(path)
        with path.open("rb") as log:
            if offset is None:
                offset = _first(log, path.stat().st_size, self._since - SLACK)
            log.seek(offset)
            data = log.read()
        end = data.rfind(b"\n") + 1
        self._offsets[path] = offset + end
        for line in data[:end].splitlines():
            entry = _parsed(line)
            if entry is not None:
                yield entry


def _first(log: Any, size: int, since: float) -> int:
    """Offset of a line start before which every line was received before `since`."""
    low, high = 0, size
    while high - low > 65_536:
        middle = (low + high) // 2
        log.seek(middle)
        log.readline()
        place = log.tell()
        entry = _parsed(log.readline())
        if entry is not None and entry["received_at"] < since:
            low = place
        else:
            high = middle
    return low


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A log line, or None for one that a killed server tore."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and "received_at" in entry else None
