"""The journal as it is stored, for those who check it: every row of every model, the head, the locks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sluicegate.domain.chain import Head, LockRow, Row


@dataclass(frozen=True)
class Book:
    """One snapshot of a journal. The rows can be read once."""

    rows: Iterator[Row]
    """In the order of their numbers."""
    head: Head | None
    locks: tuple[LockRow, ...]
    damage: tuple[str, ...] = ()
    """What the storage says about itself; empty when it finds nothing wrong."""


class Archive(Protocol):
    def read(self) -> AbstractContextManager[Book]:
        """A snapshot. DamagedError when a part cannot be read, at the latest while its rows are."""
        ...
