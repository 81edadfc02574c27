"""An exported journal: one JSON object a line, the head and the locks first. It is verified and replayed without any database."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from sluicegate.domain.chain import Head, LockRow, Row
from sluicegate.errors import DamagedError, InputError, UnavailableError
from sluicegate.ports.archive import Book

FORMAT = 1


class JournalFile:
    """Implements the Archive port over a file that `write` made."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, book: Book) -> int:
        """Write the whole book, published at once when it is complete; the number of its events."""
        partial, count = self._path.with_name(f".{self._path.name}.{os.getpid()}"), 0
        head = None if book.head is None else asdict(book.head)
        try:
            with partial.open("x", encoding="utf-8") as file:
                _line(file, {"sluicegate_journal": FORMAT, "head": head, "locks": [asdict(lock) for lock in book.locks]})
                for row in book.rows:
                    _line(file, asdict(row))
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._path)
        except OSError as e:
            raise UnavailableError(f"the journal cannot be written to {self._path}: {e.strerror}: choose another place") from e
        finally:
            partial.unlink(missing_ok=True)
        return count

    @contextmanager
    def read(self) -> Iterator[Book]:
        """The book as it was exported; DamagedError names the line that is no entry."""
        try:
            with self._path.open(encoding="utf-8", errors="surrogateescape") as file:
                yield self._book(file)
        except OSError as e:
            raise InputError(f"the exported journal {self._path} cannot be read: {e.strerror}") from e

    def _book(self, file: IO[str]) -> Book:
        try:
            first = json.loads(file.readline())
            if first["sluicegate_journal"] != FORMAT:
                raise InputError(f"{self._path} has format {first['sluicegate_journal']}, this version reads {FORMAT}")
            head = None if first["head"] is None else Head(**first["head"])
            return Book(self._rows(file), head, tuple(LockRow(**lock) for lock in first["locks"]))
        except (ValueError, TypeError, KeyError) as e:
            raise InputError(f"line 1 of {self._path} is not the beginning of an exported journal: export it again") from e

    def _rows(self, file: IO[str]) -> Iterator[Row]:
        for number, line in enumerate(file, 2):
            try:
                yield Row(**json.loads(line))
            except (ValueError, TypeError) as e:
                raise DamagedError(f"line {number} of {self._path} is not an event: the file was altered or cut off here") from e


def _line(file: IO[str], value: dict[str, Any]) -> None:
    file.write(json.dumps(value) + "\n")
