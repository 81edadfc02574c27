"""Logged requests in a store, as local files: what was fetched before is not fetched again."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from sluicegate.adapters.object_store.cache import Cache
from sluicegate.adapters.object_store.logs import Stored, begins, of_model, stored
from sluicegate.adapters.object_store.objects import Entry, Objects
from sluicegate.domain.landed import check_landing
from sluicegate.errors import RefusedError, UnavailableError
from sluicegate.folders import child

TRIES = 5
"""A log may become a whole between the list of its pieces and their reading; the next list then tells so."""
AT_ONCE = 32 << 20
"""Bytes of pieces that are read side by side; what bounds the memory."""


class ObjectRequests:
    """Implements the RequestLogs port."""

    def __init__(self, objects: Objects, cache: Cache) -> None:
        self._objects, self._cache = objects, cache

    def served(self, model: str) -> list[Path]:
        for _ in range(TRIES):
            logs = stored(self._objects.entries_below(of_model(model)))
            copies = {folder: self._cache.growing(f"{folder}.jsonl") for folder in logs}
            if all(self._bring(log, copies[folder]) for folder, log in logs.items()):
                return [copies[folder] for folder in sorted(logs)]
        raise UnavailableError(f"the prediction logs of '{model}' in {self._objects.url} change while they are read: try again")

    def history(self, model: str) -> list[Path]:
        kind = _history(model)
        return [self._copy(kind, entry) for entry in self._objects.entries(kind)]

    def keep(self, model: str, source: Path) -> None:
        check_landing(source.name)
        self._objects.upload(f"{_history(model)}/{source.name}", source)

    def _copy(self, kind: str, entry: Entry) -> Path:
        name, version = entry.name.rpartition("/")[2], hashlib.sha256(f"{entry.name} {entry.tag}".encode()).hexdigest()[:32]
        return self._cache.folder(kind, version, lambda to: self._objects.download(entry.name, to / name)) / name

    def _bring(self, log: Stored, copy: Path) -> bool:
        """Add to the local copy what it lacks; False when the log changed meanwhile. Two that do so write the same bytes."""
        have = copy.stat().st_size if copy.exists() else 0
        if have == log.size:
            return True
        copy.parent.mkdir(parents=True, exist_ok=True)
        if log.whole is not None:
            return self._bring_whole(log.whole, copy)
        lacking = [piece for piece in log.pieces if begins(piece) + piece.size > have]
        return all(self._bring_pieces(some, copy) for some in _portions(lacking))

    def _bring_pieces(self, pieces: list[Entry], copy: Path) -> bool:
        found = self._objects.read_all(piece.name for piece in pieces)
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for piece in pieces:
                if piece.name not in found:
                    return False
                os.pwrite(descriptor, found[piece.name], begins(piece))
        finally:
            os.close(descriptor)
        return True

    def _bring_whole(self, whole: Entry, copy: Path) -> bool:
        fresh = copy.with_name(f".{copy.name}.{os.getpid()}")
        try:
            self._objects.download(whole.name, fresh)
            fresh.replace(copy)
        except RefusedError:
            return False
        finally:
            fresh.unlink(missing_ok=True)
        return True


def _portions(pieces: list[Entry]) -> Iterator[list[Entry]]:
    """The pieces in order, so many together as may be read at once."""
    some: list[Entry] = []
    size = 0
    for piece in pieces:
        if some and size + piece.size > AT_ONCE:
            yield some
            some, size = [], 0
        some.append(piece)
        size += piece.size
    if some:
        yield some


def _history(model: str) -> str:
    return f"data/{child(Path(), model)}/history"
