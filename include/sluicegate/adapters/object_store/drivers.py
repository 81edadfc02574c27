"""The stores that can be used: those in which of two writers of one object exactly one wins."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from sluicegate.adapters.object_store.objects import Entry, Objects
from sluicegate.errors import InputError, RefusedError

PART = 8 << 20
"""Bytes of one part of a large object; S3 takes none smaller than 5 MiB."""
MOST_PARTS = 9_000
"""S3 takes 10000; a larger file gets larger parts."""
AT_ONCE = 2
"""Parts on their way at the same time: with PART, what bounds the memory of an upload or a download."""
ARRIVED = "sluicegate-arrived-at"
"""Metadata of an object that we landed: when, in seconds with a fraction. S3 itself keeps whole seconds."""


class S3Objects(Objects):
    """S3 and what speaks like it. It must honour If-None-Match, as AWS does since 2024; `Shelf` finds out whether it does."""

    opened_with: ClassVar[Mapping[str, Any]] = {
        "use_listings_cache": False,
        "default_block_size": PART,
        "max_concurrency": AT_ONCE,
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2, "mode": "standard"}},
    }

    def at(self, name: str) -> str:
        if "?versionId=" in name:  # the driver would read an older version of another object
            raise RefusedError(f"{name[:200]!r} cannot be an object of the store: rename the file")
        return super().at(name)

    def create_file(self, name: str, source: Path, arrived_at: float) -> bool:
        with self.speaking(f"write {name}"):
            try:
                more = {"chunksize": _part(source), "Metadata": {ARRIVED: repr(arrived_at)}}
                self.fs.put_file(str(source), self.at(name), mode="create", **more)
            except FileExistsError:
                return False
        return True

    def upload(self, name: str, source: Path) -> None:
        with self.speaking(f"write {name}"):
            self.fs.put_file(str(source), self.at(name), chunksize=_part(source))

    def remove(self, name: str, tag: str = "") -> None:
        with self.speaking(f"remove {name}"):
            bucket, key, _ = self.fs.split_path(self.at(name))
            condition = {"IfMatch": tag} if tag else {}
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # gone, or another one by now
                self.fs.call_s3("delete_object", Bucket=bucket, Key=key, **condition)

    def arrived_at(self, entry: Entry) -> float:
        with self.speaking(f"read {entry.name}"):
            try:
                return float(self.fs.metadata(self.at(entry.name)).get(ARRIVED, entry.modified))
            except (ValueError, FileNotFoundError):
                return entry.modified

    def forget_parts(self, folder: str) -> None:
        with self.speaking(f"clean {folder}"):
            bucket, prefix, _ = self.fs.split_path(self.at(folder))
            pending = self.fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/").get("Uploads", [])
            for one in pending:
                self.fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])


class FileObjects(Objects):
    """A folder as a store, for a disk that several machines mount: written beside its place, then linked or renamed."""

    opened_with: ClassVar[Mapping[str, Any]] = {"auto_mkdir": True}

    def create(self, name: str, content: bytes) -> bool:
        with self.speaking(f"write {name}"):
            return _linked(Path(self.at(name)), content)

    def create_file(self, name: str, source: Path, arrived_at: float) -> bool:
        with self.speaking(f"write {name}"):
            return _linked(Path(self.at(name)), source)

    def write(self, name: str, content: bytes) -> None:
        with self.speaking(f"write {name}"):
            _fresh(Path(self.at(name)), content).replace(self.at(name))

    def upload(self, name: str, source: Path) -> None:
        with self.speaking(f"write {name}"):
            _fresh(Path(self.at(name)), source).replace(self.at(name))


STORES: Mapping[str, type[Objects]] = {"s3": S3Objects, "file": FileObjects, "memory": Objects}


def open_store(url: str) -> Objects:
    """The objects below the URL; InputError for a kind of store that cannot be used."""
    kind = url.partition("://")[0]
    if not url or kind not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise InputError(f"SLUICEGATE_STORE_URL is '{url}': pods exchange what they make by one of {known}")
    return STORES[kind](url)


def _part(source: Path) -> int:
    return max(PART, source.stat().st_size // MOST_PARTS + 1)


def _fresh(target: Path, content: bytes | Path) -> Path:
    """The content, whole and durable, under a hidden name beside its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.parent / f".new-{uuid.uuid4().hex}"
    with fresh.open("xb") as file:
        if isinstance(content, Path):
            with content.open("rb") as parts:
                shutil.copyfileobj(parts, file, 1 << 20)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _linked(target: Path, content: bytes | Path) -> bool:
    fresh = _fresh(target, content)
    try:
        os.link(fresh, target)
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
    return True
