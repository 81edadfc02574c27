"""Local copies of what a store holds for good: each appears whole, is used again, and goes when room is needed."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sluicegate.folders import link_or_copy

MOST_BYTES = 10 << 30
"""Copies together take about this much room."""
IN_USE_S = 3600.0
"""A copy that was asked for within this time stays, whatever room is needed: somebody may be reading it."""


class Cache:
    """Copies under a folder of their own for each store.

    Parameters
    ----------
    most_bytes : room that all copies together may take.
    in_use : seconds for which a copy stays after it was asked for.
    """

    def __init__(self, home: Path, url: str, *, most_bytes: int = MOST_BYTES, in_use: float = IN_USE_S) -> None:
        self._root = home / "cache" / hashlib.sha256(url.encode()).hexdigest()[:16]
        self._most, self._in_use = most_bytes, in_use

    def folder(self, name: str, version: str, load: Callable[[Path], None]) -> Path:
        """The copy of this version of a folder, loaded unless it is there."""
        place = self._root / "folders" / f"{name.replace('/', '.')[-160:]}.{version}"
        if not place.is_dir():
            self._make(place, load)
            self._trim()
        with contextlib.suppress(FileNotFoundError):
            os.utime(place)
        return place

    def adopt(self, name: str, version: str, files: Mapping[str, Path]) -> None:
        """Take over what was just uploaded, so that it need not be fetched."""

        def link(to: Path) -> None:
            for inside, path in files.items():
                (to / inside).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, to / inside)

        self.folder(name, version, link)

    def growing(self, name: str) -> Path:
        """Where the copy of something lies that is added to; such a copy stays."""
        return self._root / "growing" / name

    def note(self, name: str) -> bytes | None:
        """A small object that was kept."""
        try:
            return (self._root / "notes" / name).read_bytes()
        except FileNotFoundError:
            return None

    def keep_note(self, name: str, content: bytes) -> None:
        path = self._root / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(prefix=".", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(fresh).replace(path)

    def _make(self, place: Path, load: Callable[[Path], None]) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
        try:
            load(fresh)
            fresh.chmod(0o755)
            try:
                fresh.rename(place)
            except OSError:
                if not place.is_dir():  # if it is, somebody else was first, with the same content
                    raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _trim(self) -> None:
        """Let go of the copies that were not asked for longest, until the rest has room."""
        copies = sorted((path.stat().st_mtime, path, _bytes(path)) for path in (self._root / "folders").glob("[!.]*"))
        room = sum(size for *_, size in copies)
        for used, path, size in copies:
            if room <= self._most or time.time() - used < self._in_use:
                return
            shutil.rmtree(path, ignore_errors=True)
            room -= size


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
