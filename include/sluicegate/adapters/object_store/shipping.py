"""Brings the prediction logs of a server to the store while they grow, from beside the server.

Each byte arrives at most once and in its place, whatever is killed. What was written and not yet shipped is lost with the disk, and when
the request to stop comes while the store is away.
A log to which nothing is added any more is stored as a whole, its pieces go, and so does the local file.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sluicegate.adapters.object_store.logs import ALL, of_log, stored
from sluicegate.adapters.object_store.objects import Objects
from sluicegate.errors import UnavailableError
from sluicegate.folders import child

PIECE = 8 << 20
"""Bytes of a piece at most."""
LATE = timedelta(minutes=5)
"""After its hour a log gets no more lines; this long is waited, although a server flushes within a second."""
LAST_TRY_S = 20.0
"""How long a store that is away is asked again after the request to stop; a pod has 45 s, of which its server's end takes some 10."""

log = logging.getLogger(__name__)


class Shipper:
    """Ships every *.jsonl of a folder.

    Parameters
    ----------
    server : name of the server, such as its pod's: two servers of a version never share a log.
    """

    def __init__(
        self, objects: Objects, folder: Path, model: str, version: str, server: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._objects, self._folder, self._clock = objects, folder, clock
        self._place: Callable[[str], str] = lambda stem: of_log(model, version, f"{child(Path(), server)}-{stem}")
        self._place("check")
        self._sent: dict[str, int] = {}

    def run(self, stopped: Callable[[float], bool], every: float) -> None:
        """Ship until told to stop, and then what is left.

        Parameters
        ----------
        stopped : waits so many seconds, and says whether to stop.
        every : seconds between two looks: what a lost disk may take with it.
        """
        while not stopped(every):
            try:
                self.ship()
            except UnavailableError as e:
                log.warning("%s", e)  # the logs wait on the disk, as far as the server lets them
        until = time.monotonic() + LAST_TRY_S
        while True:
            try:
                self.ship(rest=True)
                return
            except UnavailableError:
                if time.monotonic() > until:
                    raise
                time.sleep(1.0)

    def ship(self, *, rest: bool = False) -> None:
        """Bring what was added: whole lines, or with `rest` everything."""
        for path in sorted(self._folder.glob("[!.]*.jsonl")):
            with contextlib.suppress(FileNotFoundError):
                self._ship(path, rest)
                if self._is_over(path):
                    self._finish(path)

    def _ship(self, path: Path, rest: bool) -> None:
        with path.open("rb") as file:
            while piece := self._next(file.fileno(), self._known(path), rest):
                at = self._known(path)
                made = self._objects.create(f"{self._place(path.stem)}/{at:020d}", piece)
                self._sent[path.stem] = at + len(piece) if made else self._after(path, at)

    def _next(self, descriptor: int, at: int, rest: bool) -> bytes:
        """Bytes of the next piece: up to the last end of a line, unless there is none in a full one."""
        content = os.pread(descriptor, PIECE, at)
        whole = content.rfind(b"\n") + 1
        return content if rest or (not whole and len(content) == PIECE) else content[:whole]

    def _known(self, path: Path) -> int:
        """How many bytes of the log are in the store; asked once, then remembered."""
        if path.stem not in self._sent:
            self._sent[path.stem] = self._asked(path)
        return self._sent[path.stem]

    def _asked(self, path: Path) -> int:
        logs = stored(self._objects.entries(self._place(path.stem)))
        return logs[self._place(path.stem)].size if logs else 0

    def _after(self, path: Path, at: int) -> int:
        """Where to go on after somebody else brought the piece at `at`: this very one whose answer was lost, or a twin of ours."""
        there = self._asked(path)
        if there <= at:
            raise UnavailableError(f"{self._place(path.stem)} has a piece at {at} and does not list it: try again")
        return there

    def _is_over(self, path: Path) -> bool:
        """Logs are named by their hour (UTC)."""
        try:
            hour = datetime.strptime(path.name.partition("-")[0], "%Y%m%dT%H").replace(tzinfo=UTC)
        except ValueError:
            return False
        return datetime.fromtimestamp(self._clock(), UTC) > hour + timedelta(hours=1) + LATE

    def _finish(self, path: Path) -> None:
        """Pieces become a whole. Killed at any point and begun again, it ends the same."""
        self._ship(path, rest=True)
        if not path.stat().st_size:  # nobody asked anything in that hour
            path.unlink()
            return
        folder = self._place(path.stem)
        self._objects.create_file(f"{folder}/{ALL}", path, path.stat().st_mtime)
        for piece in stored(self._objects.entries(folder))[folder].leftover:
            self._objects.remove(piece.name)
        if path.stat().st_size == self._asked(path):
            path.unlink()
            self._sent.pop(path.stem, None)
            log.info("%s is in the store as a whole", path.name)
