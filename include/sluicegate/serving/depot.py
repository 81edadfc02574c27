"""Packages on their way to a pod: kept in the object store under the digest of their manifest, so that a place never changes.

Nothing of a package is executed or opened as a model here; every byte is held against the manifest, and that against its digest.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from sluicegate.errors import InputError, PackageError, UnavailableError
from sluicegate.serving.manifest import MANIFEST, digest, read_files, read_manifest

_HEX = frozenset("0123456789abcdef")


def identity(package: Path) -> str:
    """SHA-256 of the manifest (64 hex digits), which holds the digest of every other file; PackageError when one was altered."""
    read_files(package, read_manifest(package))
    return digest((package / MANIFEST).read_bytes())


def place(store_url: str, package_digest: str) -> str:
    """Where the store keeps the package."""
    if not store_url:
        raise InputError(
            "SLUICEGATE_STORE_URL is empty: pods fetch their package from a store, so name one such as s3://bucket/prefix"
        )
    return f"{store_url.rstrip('/')}/packages/{package_digest}"


def send(package: Path, store_url: str) -> str:
    """Bring the package to the store unless it is there; returns its digest. The manifest comes last, so a torn transfer is none."""
    known = identity(package)
    with _store(place(store_url, known)) as (files, root):
        if not files.exists(f"{root}/{MANIFEST}"):
            for name in (*read_manifest(package).files, MANIFEST):
                files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
                files.pipe_file(f"{root}/{name}", (package / name).read_bytes())
    return known


def fetch(store_url: str, package_digest: str, target: Path) -> None:
    """Bring the package of this digest to the folder `target`, whole or not at all; nothing is done when it is there already.

    Raises PackageError when the store has other bytes than the digest says, or none.
    """
    if len(package_digest) != 64 or not _HEX.issuperset(package_digest):
        raise InputError(f"'{package_digest[:80]}' is no digest of a package: 64 hex digits, as the registry's manifest has it")
    if target.exists() and identity(target) == package_digest:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        _download(place(store_url, package_digest), package_digest, fresh)
        fresh.chmod(0o755)  # the server may run as somebody else
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _download(url: str, package_digest: str, folder: Path) -> None:
    with _store(url) as (files, root):
        _copy(files, f"{root}/{MANIFEST}", folder / MANIFEST)
        found = digest((folder / MANIFEST).read_bytes())
        if found != package_digest:
            raise PackageError(f"{url} was altered: its manifest's SHA-256 is {found}: send the package again from the registry")
        for name in read_manifest(folder).files:
            if (folder / name).resolve().is_relative_to(folder.resolve()):  # any other is refused below
                _copy(files, f"{root}/{name}", folder / name)
    read_files(folder, read_manifest(folder))


def _copy(files: Any, source: str, target: Path) -> None:
    try:
        content = files.cat_file(source)
    except FileNotFoundError as e:
        raise PackageError(f"the store has no {source}: deploy the version again, which sends its package") from e
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


@contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
    """The store's file system and the path in it."""
    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        yield files, root
    except (PackageError, InputError):
        raise
    except Exception as e:  # every driver has errors of its own
        raise UnavailableError(f"the store at {url} does not answer ({type(e).__name__}: {e}): see SLUICEGATE_STORE_URL") from e
