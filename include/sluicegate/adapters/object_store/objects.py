"""Objects of one store: whole or absent, made on condition, listed page by page. What all drivers of fsspec have in common."""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from sluicegate.errors import InputError, RefusedError, SluicegateError, UnavailableError

NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")


@dataclass(frozen=True)
class Entry:
    """An object as a listing tells it."""

    name: str
    """Below the store's URL."""
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch, as exactly as the store keeps it."""
    tag: str
    """Differs when the content differs."""


class Objects:
    """The objects below a URL. Names are relative to it, and none can lead out of it.

    Raises UnavailableError when the store does not answer, and InputError when it does not let us in.
    """

    opened_with: ClassVar[Mapping[str, Any]] = {}
    """What the driver is told when it is opened."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The driver, and the URL as it writes it."""
        import fsspec

        fs, root = fsspec.core.url_to_fs(self.url, **self.opened_with)
        return fs, root

    @property
    def fs(self) -> Any:
        return self._opened[0]

    def at(self, name: str) -> str:
        """The driver's path of an object; RefusedError for a name that could lead elsewhere."""
        if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
            raise RefusedError(f"{name[:200]!r} cannot be an object of the store: its parts must be plain names")
        return f"{self._opened[1]}/{name}"

    def create(self, name: str, content: bytes) -> bool:
        """Make the object; False when there was one, which then stays as it is."""
        with self.speaking(f"write {name}"):
            try:
                self.fs.pipe_file(self.at(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def create_file(self, name: str, source: Path, arrived_at: float) -> bool:
        """Make the object out of a file of any size; False when there was one, which then stays as it is.

        Parameters
        ----------
        arrived_at : kept beside the content where the store itself knows the time less exactly.
        """
        with self.speaking(f"write {name}"):
            try:
                self.fs.put_file(str(source), self.at(name), mode="create")
            except FileExistsError:
                return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """Make or replace the object."""
        with self.speaking(f"write {name}"):
            self.fs.pipe_file(self.at(name), content)

    def upload(self, name: str, source: Path) -> None:
        """Make or replace the object out of a file of any size; nothing is visible before all of it is there."""
        with self.speaking(f"write {name}"):
            self.fs.put_file(str(source), self.at(name))

    def read(self, name: str) -> bytes | None:
        """Content of a small object; None when there is none."""
        with self.speaking(f"read {name}"):
            try:
                content: bytes = self.fs.cat_file(self.at(name))
            except FileNotFoundError:
                return None
        return content

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Content of many small objects, fetched side by side; what is gone is left out. Names of committed folders only."""
        paths = {self.at(name): name for name in names}
        if not paths:
            return {}
        with self.speaking(f"read {len(paths)} objects"):
            found: dict[str, bytes] = self.fs.cat(list(paths), on_error="omit")
        return {paths[path]: content for path, content in found.items()}

    def download(self, name: str, target: Path) -> None:
        """Copy the object to a file, part by part; RefusedError when there is none."""
        with self.speaking(f"read {name}"):
            try:
                self.fs.get_file(self.at(name), str(target))
            except FileNotFoundError as e:
                raise RefusedError(f"there is no object '{name}' in {self.url}") from e

    def entries(self, folder: str) -> list[Entry]:
        """Objects right in the folder, by name; hidden ones (a leading dot) are nobody's content. Of an absent folder none."""
        return [one for one in self._listed(self.at(folder), "ls") if not one.name.rpartition("/")[2].startswith(".")]

    def entries_below(self, folder: str) -> list[Entry]:
        """Objects in the folder and in those below it, hidden ones too."""
        return self._listed(self.at(folder), "find")

    def remove(self, name: str, tag: str = "") -> None:
        """Remove the object; one that is gone stays gone. With a tag, and where the store can: only if it is still that one."""
        with self.speaking(f"remove {name}"):
            try:
                self.fs.rm_file(self.at(name))
            except FileNotFoundError:
                return

    def arrived_at(self, entry: Entry) -> float:
        """When the object landed, seconds since the epoch."""
        return entry.modified

    def forget_parts(self, folder: str) -> None:
        """Let go of uploads below the folder that nobody finished, where a store keeps their parts."""

    def _listed(self, path: str, how: str) -> list[Entry]:
        with self.speaking(f"list {path}"):
            try:
                told = getattr(self.fs, how)(path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        start = len(self._opened[1]) + 1
        files = told.values() if isinstance(told, dict) else told
        inside = (one for one in files if one["type"] == "file" and one["name"].startswith(f"{path}/"))
        return sorted((_entry(one, start) for one in inside), key=lambda entry: entry.name)

    @contextmanager
    def speaking(self, what: str) -> Iterator[None]:
        """Whatever the driver raises, as one sentence. Each driver has a tree of its own, so everything is caught."""
        try:
            yield
        except SluicegateError:
            raise
        except PermissionError as e:
            raise InputError(f"the store {self.url} does not let us {what} ({e}): check its credentials (AWS_*)") from e
        except Exception as e:
            if type(e).__name__ in NO_CREDENTIALS:
                raise InputError(
                    f"there are no credentials for the store {self.url} ({e}): set AWS_ACCESS_KEY_ID or a role"
                ) from e
            raise UnavailableError(
                f"the store {self.url} could not {what} ({type(e).__name__}: {str(e)[:300]}): try again"
            ) from e


def _entry(told: Mapping[str, Any], start: int) -> Entry:
    modified = next((told[key] for key in ("LastModified", "mtime", "created") if key in told), 0.0)
    seconds = modified.timestamp() if isinstance(modified, datetime.datetime) else float(modified)
    return Entry(told["name"][start:], int(told["size"]), seconds, str(told.get("ETag", f"{told['size']}-{seconds}")))
