"""Reads prediction logs as they grow: whole lines only, each once, from a given time on."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from sluicegate.domain.pairing import Line

CHUNK = 1 << 20
"""Bytes read at once."""
NEAR = 1 << 16
"""The first line of interest is searched by halving until so few bytes remain."""
DISORDER_S = 5.0
"""Lines of one file may be out of order by this much."""


class VersionLog:
    """The growing log of one version: all its files, oldest first."""

    def __init__(self, folder: Path, since: float) -> None:
        self._folder, self._since = folder, since
        self._first_hour = time.strftime("%Y%m%dT%H", time.gmtime(since))
        self._files: dict[Path, _File] = {}
        self.progress = since
        """Time of the newest line read."""
        self.drained = False
        """Whether the last call read everything that was there."""

    def look(self) -> None:
        """Find files that are new; OSError when there is no log at all (a server makes its folder when it starts)."""
        self.drained = False
        if not self._folder.is_dir():
            raise FileNotFoundError(f"there is no prediction log {self._folder}: the server never started")
        for path in sorted((p for p in self._paths() if p not in self._files), key=_first_time):
            self._files[path] = _File(path, _start(path, self._since))

    def lines(self) -> Iterator[Line]:
        """The next lines, about CHUNK bytes of them; torn ones are skipped."""
        for file in self._files.values():
            content = file.read()
            if content:
                for line in parsed(content):
                    self.progress = max(self.progress, line.received_at)
                    yield line
                return
        self.drained = True

    def _paths(self) -> list[Path]:
        return [p for p in self._folder.glob("*.jsonl") if p.name[:11] >= self._first_hour]


class _File:
    """One file and how far it was read."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path, self._offset = path, offset

    def read(self) -> bytes:
        """Whole lines that were not read yet, about CHUNK bytes; empty when there are none."""
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._offset)
                content = handle.read(CHUNK)
                while content and b"\n" not in content and (more := handle.read(CHUNK)):
                    content += more
        except FileNotFoundError:  # retired
            return b""
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole


def parsed(content: bytes) -> Iterator[Line]:
    """The log lines of these bytes."""
    for text in content.splitlines():
        try:
            raw = orjson.loads(text)
            yield Line(raw["request_id"], raw["received_at"], raw["role"], raw["user"], raw["score"], raw["decision"])
        except (ValueError, KeyError, TypeError):
            continue


def _first_time(path: Path) -> float:
    with path.open("rb") as handle:
        first = next(parsed(handle.readline()), None)
    return float("inf") if first is None else first.received_at


def _start(path: Path, since: float) -> int:
    """Offset of a line no later than the first one received at `since`: a rebuild must not parse an hour for a minute."""
    with path.open("rb") as handle:
        return _near(handle, since - DISORDER_S, 0, path.stat().st_size)


def _near(handle: BinaryIO, moment: float, low: int, high: int) -> int:
    """Offset of a line between `low` and `high` that is at most NEAR bytes before the first one received at `moment`."""
    while high - low > NEAR:
        middle = (low + high) // 2
        handle.seek(middle)
        handle.readline()
        at = handle.tell()
        line = next(parsed(handle.readline()), None)
        if line is None or at >= high or line.received_at >= moment:
            high = middle
        else:
            low = at
    return low


class Matured:
    """Answers to users in one version's log, received in a window whose end moves on: each byte is read once, none is parsed twice.

    Parameters
    ----------
    since : start of the window, seconds since the epoch.
    """

    def __init__(self, folder: Path, since: float) -> None:
        self._folder, self._since = folder, since
        self._first_hour = time.strftime("%Y%m%dT%H", time.gmtime(since))
        self._read: dict[Path, int] = {}
        self._count = 0

    def until(self, end: float) -> int:
        """How many there are before `end`; an end that moves back changes nothing."""
        last_hour = time.strftime("%Y%m%dT%H", time.gmtime(end))
        for path in self._folder.glob("*.jsonl"):
            if self._first_hour <= path.name[:11] <= last_hour:
                low = self._read[path] if path in self._read else _offset(path, self._since, 0)
                self._read[path] = high = _offset(path, end, low)
                self._count += _answers(path, low, high)
        return self._count


def _offset(path: Path, moment: float, low: int) -> int:
    """Where, from `low` on, the first line received at or after `moment` begins, or the end of the whole lines."""
    high = path.stat().st_size
    with path.open("rb") as handle:
        low = _near(handle, moment, low, high)
        handle.seek(low)
        for text in handle:
            line = next(parsed(text), None)
            if not text.endswith(b"\n") or (line is not None and line.received_at >= moment):
                break
            low += len(text)
    return low


def _answers(path: Path, low: int, high: int) -> int:
    """Answers to users among the lines between two offsets. No value inside a line can look like the role: its quotes are escaped."""
    count = 0
    with path.open("rb") as handle:
        handle.seek(low)
        while low < high:
            content = handle.read(min(CHUNK, high - low))
            if not content.endswith(b"\n"):
                content += handle.readline()
            count += content.count(b'"role":"answer"')
            low += len(content)
    return count
