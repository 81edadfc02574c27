"""What was asked for: one JSON file a model, replaced atomically, with the newest fencing token that wrote it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluicegate.domain.route import Route
from sluicegate.domain.route_text import PLAIN, Stored, from_document, plain, to_document
from sluicegate.errors import RefusedError, UnavailableError


class RouteStore:
    """Route files under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._routes = folder / "routes"

    def read(self, model: str) -> Stored:
        """The newest write of a model; token -1 when there never was one."""
        path = self._path(model)
        try:
            return from_document(json.loads(path.read_text()))
        except FileNotFoundError:
            return Stored()
        except (ValueError, KeyError, TypeError, RefusedError) as problem:
            message = f"{path} is no route ({problem}): restore it, or remove it and start the release again"
            raise UnavailableError(message) from problem

    def kept(self, model: str) -> Stored | None:
        """The newest write of a model, or None when its file cannot be read."""
        try:
            return self.read(model)
        except UnavailableError:
            return None

    def routes(self) -> list[Route]:
        """All routes that can be read, by name of the model."""
        found = (self.kept(model) for model in self._models())
        return [stored.route for stored in found if stored is not None and stored.route is not None]

    def broken(self) -> list[str]:
        """Models whose file cannot be read."""
        return [model for model in self._models() if self.kept(model) is None]

    def refuse_broken(self) -> None:
        """UnavailableError names the first file that cannot be read."""
        for model in self.broken():
            self.read(model)

    def write(self, model: str, stored: Stored) -> None:
        """Replace the file; visible at once to every process, durable after `settle`."""
        self._routes.mkdir(parents=True, exist_ok=True)
        replace_file(self._path(model), json.dumps(to_document(stored), indent=1))

    def settle(self, model: str) -> None:
        """Force the last write to the disk: file, then folder."""
        for path in (self._path(model), self._routes):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    @contextmanager
    def lock(self, patience: float, *, without: bool = False) -> Iterator[None]:
        """Hold the gateway's one lock; UnavailableError after `patience` seconds, or go on `without` it.

        A cut goes on without it: its holder is then a stopped process, and files are replaced whole, so nothing tears.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as handle:
            if not _flock(handle.fileno(), patience) and not without:
                raise UnavailableError(f"another process holds {handle.name} for more than {patience:g} s: look at what it does")
            yield

    def _models(self) -> list[str]:
        return [path.stem for path in sorted(self._routes.glob("*.json")) if PLAIN.fullmatch(path.stem)]

    def _path(self, model: str) -> Path:
        return self._routes / f"{plain(model)}.json"


def replace_file(path: Path, text: str) -> None:
    """Write beside it and rename onto it: readers and Envoy's watch see the old or the new content, whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        draft.write_text(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _flock(handle: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
