"""The prediction log: one JSON line a scored request, handed over in a microsecond, written by a thread of its own.

What was flushed survives kill -9 of the process (not of the machine: nothing is synced). A full queue and a full folder drop lines
and count them; the answer never waits. A file may hold one torn line where a process or a disk died; readers skip it.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

FLUSH_EVERY_S = 0.05
"""Lines wait at most about this long; promised are 0.1 s."""
MOST_QUEUED_BYTES = 64 * 1024 * 1024
"""Lines that wait for a disk that hangs take at most this much memory; further ones are dropped."""
Complain = Callable[[str], None]


class PredictionLog:
    """Appends to <folder>/<UTC yyyymmddTHH>-<pid>.jsonl, a new file every hour.

    Parameters
    ----------
    complain : called from the writing thread with a sentence when lines were lost, at most once a second.
    room : bytes that the folder may hold, all its files; None is as many as the disk takes. Where a disk is a pod's share of a node's,
        who takes more is evicted, and stops to answer.
    """

    def __init__(
        self,
        folder: Path,
        complain: Complain,
        *,
        clock: Callable[[], float] = time.time,
        most_queued_bytes: int = MOST_QUEUED_BYTES,
        flush_every: float = FLUSH_EVERY_S,
        room: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._complain, self._clock = folder, complain, clock
        self._most, self._every, self._room = most_queued_bytes, flush_every, room
        self._lines: deque[bytes] = deque()
        self._given = self._taken = 0  # bytes; the first is written by the server's thread only, the second by ours only
        self._overflow = self._unwritten = self._complained = 0
        self._why = ""  # the last line was lost, and what helps
        self._hour, self._descriptor = "", -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self.written = 0

    def start(self) -> None:
        """Open the first file, so that a folder that cannot be written is known at once, and begin to flush."""
        self._file()
        self._thread.start()

    def append(self, line: bytes) -> None:
        """Hand over one line, newline included. Never blocks; called from one thread."""
        size = len(line)
        if self._given - self._taken + size > self._most:
            self._overflow += 1
            self._why = "(the queue is full): check the disk"
            return
        self._given += size
        self._lines.append(line)

    @property
    def dropped(self) -> int:
        """Lines lost since the start, to a full queue, a full folder, or a disk that refused them."""
        return self._overflow + self._unwritten

    def close(self, patience: float = 2.0) -> None:
        """Write what is queued and stop; gives up after `patience` seconds."""
        self._stop.set()
        self._thread.join(patience)

    def _run(self) -> None:
        heard = 0.0
        while not self._stop.wait(self._every):
            self._flush()
            heard = self._tell(heard)
        self._flush()
        self._tell(0.0)
        os.close(self._descriptor)

    def _flush(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        content = b"".join(lines)
        try:
            if self._fits(len(content)):
                self._write(content)
                self.written += len(lines)
            else:
                self._lose(
                    len(lines), f"({self._folder} holds what it may): see that its logs are shipped, or raise serving.disk"
                )
        except OSError:
            self._lose(len(lines), f"({self._folder} cannot be written): check the disk")
            self._hour = ""  # open again: the next write then begins on a line of its own
        self._taken += len(content)

    def _lose(self, lines: int, why: str) -> None:
        self._unwritten += lines
        self._why = why

    def _fits(self, more: int) -> bool:
        """Looked up each time: whoever ships the logs takes them away."""
        return self._room is None or _size(self._folder) + more <= self._room

    def _write(self, content: bytes) -> None:
        descriptor, rest = self._file(), memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def _file(self) -> int:
        hour = time.strftime("%Y%m%dT%H", time.gmtime(self._clock()))
        if hour == self._hour:
            return self._descriptor
        path = self._folder / f"{hour}-{os.getpid()}.jsonl"
        fresh = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(fresh).st_size
        if size and os.pread(fresh, 1, size - 1) != b"\n":
            os.write(fresh, b"\n")
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._hour, self._descriptor = hour, fresh
        return fresh

    def _tell(self, heard: float) -> float:
        """Complain about new losses, but not more often than once a second; returns when it did last."""
        now = time.monotonic()
        if self.dropped == self._complained or now - heard < 1.0:
            return heard
        lost, self._complained = self.dropped - self._complained, self.dropped
        self._complain(f"{lost} prediction log lines were dropped {self._why}")
        return now


def _size(folder: Path) -> int:
    """Bytes of all files of a folder from which others take some away."""
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                size += entry.stat().st_size
    return size
