"""Folders that appear whole or not at all: prepared under a hidden name beside their place, made durable, then renamed.

Of two writers exactly one wins, kill -9 at any instant leaves either nothing or everything, and what is published never changes.
Hidden names (a leading dot) are never anybody's content, so what a killed writer left is only garbage.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sluicegate.errors import RefusedError

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")


def child(parent: Path, name: str) -> Path:
    """The folder `name` under `parent`; RefusedError for a name that could lead elsewhere."""
    if not _ID.fullmatch(name):
        raise RefusedError(f"'{name[:80]}' is no id: letters, digits, '_', '.' and '-', at most 128, none of them a slash")
    return parent / name


def publish(source: Path, target: Path, extra: Mapping[str, str] | None = None) -> bool:
    """Make `target` a copy of the folder `source`, atomically.

    Files are linked, not copied, where the file system can: both names then stand for the same bytes, which nobody may change.

    Parameters
    ----------
    extra : mapping
        Small text files, name → content, that are added.

    Returns
    -------
    False when `target` was there before or somebody else was first; it is then as it was.
    """
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        shutil.copytree(source, fresh, copy_function=link_or_copy, dirs_exist_ok=True)
        for name, text in (extra or {}).items():
            (fresh / name).write_text(text)
        fresh.chmod(0o755)
        _sync_all(fresh)
        return _rename(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give the file a second name; copy it when the place is on another file system or links are not allowed."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as e:
        if e.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copy2(source, target)


def _rename(fresh: Path, target: Path) -> bool:
    try:
        fresh.rename(target)
    except OSError as e:
        if e.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    _sync(target.parent)
    return True


def _sync_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
