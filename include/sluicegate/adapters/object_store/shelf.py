"""Folders in a store that appear whole or not at all, and stay as they are: batches, snapshots, taken files, results.

    <kind>/files/<name>/<attempt>/...    what one writer uploaded; nobody looks there before the marker names the attempt
    <kind>/committed/<name>              the marker, made last and on condition: which attempt won, its files and their digests

Of two writers the one whose marker was made wins; the other takes its files away. What a killed writer left is invisible, and goes
when the name is committed.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.adapters.object_store.cache import Cache
from sluicegate.adapters.object_store.objects import Objects
from sluicegate.errors import InputError, UnavailableError
from sluicegate.folders import child


@dataclass(frozen=True)
class Marker:
    """That a folder is committed."""

    attempt: str
    files: Mapping[str, str]
    """Path in the folder → SHA-256."""
    note: Any = None
    """What a list of all folders tells about each."""

    @staticmethod
    def parse(content: bytes) -> "Marker":
        told = json.loads(content)
        return Marker(str(told["attempt"]), dict(told["files"]), told.get("note"))

    def to_bytes(self) -> bytes:
        return json.dumps({"attempt": self.attempt, "files": dict(self.files), "note": self.note}).encode()


class Shelf:
    """Committed folders of a store, each fetched once into a local cache."""

    def __init__(self, objects: Objects, cache: Cache) -> None:
        self._objects, self._cache = objects, cache
        self._proved = False

    def commit(self, kind: str, name: str, folder: Path, note: Any = None) -> bool:
        """Publish a copy of the folder; False when the name was committed before or somebody else was first."""
        there, won = self.marker(kind, name), False
        if there is None:
            there, won = self._attempt(kind, name, folder, note)
        self._sweep(kind, name, there)
        return won

    def _attempt(self, kind: str, name: str, folder: Path, note: Any) -> tuple[Marker, bool]:
        """Try to be the one whose folder is committed; the marker of whoever was, and whether it is ours."""
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        mine = Marker(uuid.uuid4().hex, {inside: digest(path) for inside, path in files.items()}, note)
        winner = self._upload(kind, name, mine, files)
        if winner.attempt != mine.attempt:
            return winner, False
        self._prove(kind, name, mine)
        self._cache.adopt(f"{kind}/{name}", mine.attempt, files)
        return mine, True

    def _upload(self, kind: str, name: str, mine: Marker, files: Mapping[str, Path]) -> Marker:
        """Bring the files and then the marker; the marker that is there in the end."""
        try:
            for inside, path in files.items():
                self._objects.upload(f"{kind}/files/{name}/{mine.attempt}/{inside}", path)
            self._objects.create(_marker(kind, name), mine.to_bytes())
        except UnavailableError:  # also when the winner has swept away the parts of our upload
            if (winner := self.marker(kind, name)) is None:
                raise
            return winner
        winner = self.marker(kind, name)  # whatever the answer was: the store decides
        if winner is None:
            raise UnavailableError(f"{_marker(kind, name)} of {self._objects.url} was made and is gone: try again")
        return winner

    def marker(self, kind: str, name: str) -> Marker | None:
        """The marker of the folder; None when it is not committed."""
        content = self._objects.read(_marker(kind, name))
        return None if content is None else Marker.parse(content)

    def markers(self, kind: str) -> dict[str, Marker]:
        """All committed folders by name."""
        names = [entry.name for entry in self._objects.entries(f"{kind}/committed")]
        unread = [name for name in names if self._cache.note(name) is None]
        for name, content in self._objects.read_all(unread).items():
            self._cache.keep_note(name, content)
        found = {name.rpartition("/")[2]: self._cache.note(name) for name in names}
        return {name: Marker.parse(content) for name, content in found.items() if content is not None}

    def fetch(self, kind: str, name: str) -> Path | None:
        """The committed folder, as a local copy that nobody may change; None when it is not committed."""
        marker = self.marker(kind, name)
        if marker is None:
            return None
        return self._cache.folder(f"{kind}/{name}", marker.attempt, lambda to: self._load(f"{kind}/files/{name}", marker, to))

    def peek(self, kind: str, name: str, inside: str) -> bytes | None:
        """One small file of a committed folder, without the others; None when the folder is not committed."""
        marker = self.marker(kind, name)
        if marker is None:
            return None
        place = f"{kind}/files/{name}/{marker.attempt}/{inside}"
        content = self._objects.read(place)
        if content is None or hashlib.sha256(content).hexdigest() != marker.files.get(inside):
            raise UnavailableError(f"{place} of {self._objects.url} is not what was committed: try again, or restore it")
        return content

    def _load(self, root: str, marker: Marker, to: Path) -> None:
        for inside, asked in marker.files.items():
            place, target = f"{root}/{marker.attempt}/{inside}", to / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            self._objects.download(place, target)
            if digest(target) != asked:
                raise UnavailableError(f"{place} of {self._objects.url} is not what was committed: try again, or restore it")

    def _prove(self, kind: str, name: str, marker: Marker) -> None:
        """A store that ignores the condition would let two writers win. Asked once, with the marker that is there already."""
        if not self._proved and self._objects.create(_marker(kind, name), marker.to_bytes()):
            raise InputError(
                f"the store {self._objects.url} replaces objects although it is told not to (If-None-Match): use another"
            )
        self._proved = True

    def _sweep(self, kind: str, name: str, winner: Marker) -> None:
        """Take away what did not win and cannot win any more, whoever brought it."""
        root = f"{kind}/files/{name}"
        for entry in self._objects.entries_below(root):
            if not entry.name.startswith(f"{root}/{winner.attempt}/"):
                self._objects.remove(entry.name)
        self._objects.forget_parts(root)


def _marker(kind: str, name: str) -> str:
    return f"{kind}/committed/{child(Path(), name)}"


def digest(path: Path) -> str:
    """SHA-256 of the file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
