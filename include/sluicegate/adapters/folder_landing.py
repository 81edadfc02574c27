"""The landing area as a local folder: files wait in landing/<model>/ and are taken to data/<model>/landed/<batch id>/.

A file counts as landed when its name has no leading dot and nobody has it open for writing. Only plain files are taken: a link or
a folder stays where it is. Taking gives the file a second name in its immutable place before the first one is removed, so that
kill -9 at any instant leaves it in at least one of the two.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sluicegate.domain.landed import MOST_OF_A_NAME, check_landing, numbered, shown
from sluicegate.errors import RefusedError
from sluicegate.folders import child, link_or_copy, publish
from sluicegate.ports.landing import Arrival
from sluicegate.settings import Settings

FILE, NOTE = "file", "arrival.json"


class FolderLanding:
    """Implements the Landing port."""

    def __init__(self, settings: Settings) -> None:
        self._landing = settings.landing
        self._data = settings.data

    def drop(self, model: str, name: str, source: Path) -> str:
        check_landing(name)
        folder = child(self._landing, model)
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as whole, source.open("rb") as parts:
                shutil.copyfileobj(parts, whole, 1 << 20)
            return _claim(Path(fresh), folder, name)
        finally:
            Path(fresh).unlink(missing_ok=True)

    def look(self, model: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(child(self._landing, model)) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # taken between listing and looking
                    if entry.is_file() and not entry.name.startswith("."):
                        found[shown(entry.name)] = f"{entry.stat().st_size} {entry.stat().st_mtime_ns}"
        return found

    def waiting(self, model: str) -> list[Arrival]:
        folder = child(self._landing, model)
        found: list[Arrival] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError, PermissionError):  # taken by another run, or not ours to read
                    if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".") and not _written(entry.path):
                        found.append(_arrival(model, Path(entry.path)))
        return sorted(found, key=lambda a: (a.arrived_at, a.name, a.batch_id))

    def take(self, arrival: Arrival) -> Path:
        place = self._place(arrival.model, arrival.batch_id)
        path = self._path(arrival)
        if not place.exists():
            if path is None:
                raise RefusedError(
                    f"'{arrival.name}' is neither waiting in landing/{arrival.model} nor taken: was it removed by hand?"
                )
            self._keep(arrival, path, place)
            if not place.exists():
                raise RefusedError(
                    f"'{arrival.name}' vanished from landing/{arrival.model} before it was taken: was it removed by hand?"
                )
        if path is not None and _same(path, arrival):
            path.unlink(missing_ok=True)
        return place / FILE

    def taken(self, model: str) -> list[Arrival]:
        notes = (child(self._data, model) / "landed").glob(f"[!.]*/{NOTE}")
        found = [Arrival(**json.loads(note.read_text())) for note in notes]
        return sorted(found, key=lambda a: (a.arrived_at, a.name, a.batch_id))

    def _place(self, model: str, batch_id: str) -> Path:
        return child(child(self._data, model) / "landed", batch_id)

    def _path(self, arrival: Arrival) -> Path | None:
        """The waiting file: names are matched as they are shown, because a name may hold bytes that are no text."""
        with contextlib.suppress(FileNotFoundError), os.scandir(child(self._landing, arrival.model)) as entries:
            for entry in entries:
                if shown(entry.name) == arrival.name:
                    return Path(entry.path)
        return None

    def _keep(self, arrival: Arrival, path: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".take-", dir=place.parent))
        try:
            with contextlib.suppress(FileNotFoundError):  # another run took it at this moment: publish finds its place
                link_or_copy(path, fresh / FILE)
                if not _same(fresh / FILE, arrival):
                    raise RefusedError(
                        f"'{arrival.name}' changed while it was taken: it stays in landing/{arrival.model}, take it again"
                    )
                (fresh / FILE).chmod(0o444)
                publish(fresh, place, {NOTE: json.dumps(asdict(arrival))})
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _arrival(model: str, path: Path) -> Arrival:
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    return Arrival(model, digest, shown(path.name), before.st_size, before.st_mtime)


def _same(path: Path, arrival: Arrival) -> bool:
    """Is this still the file that was seen? By size and time: the bytes are hashed again when they are read."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return (now.st_size, now.st_mtime) == (arrival.size, arrival.arrived_at)


def _claim(fresh: Path, folder: Path, name: str) -> str:
    """Give the whole file its name without ever replacing a file that waits: a number is added when the name is in use."""
    for number in range(1, MOST_OF_A_NAME):
        free = numbered(name, number)
        try:
            os.link(fresh, folder / free)
        except FileExistsError:
            continue
        return free
    raise RefusedError(f"{MOST_OF_A_NAME} files named like '{name}' wait in landing/{folder.name}: ingest does not run")


def _written(path: str) -> bool:
    """Does anybody have the file open for writing? Linux refuses a read lease then; elsewhere nobody is assumed to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except (OSError, AttributeError):
        return False
    finally:
        os.close(descriptor)
    return False
