"""The Archive port over one database: every row as it is stored, and what the database says about its own files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from sluicegate.adapters.sql_journal.database import Database
from sluicegate.adapters.sql_journal.schema import EVENTS, HEAD, LOCKS
from sluicegate.domain.chain import Head, LockRow, Row
from sluicegate.errors import InputError
from sluicegate.ports.archive import Book

AT_ONCE = 500
"""Rows fetched at a time."""


class SqlArchive:
    """Implements the Archive port over one database URL."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    @contextmanager
    def read(self) -> Iterator[Book]:
        """One snapshot: what is appended meanwhile is not in it."""
        file = self._database.engine.url.database
        if self._database.engine.dialect.name == "sqlite" and file is not None and not Path(file).exists():
            raise InputError(f"there is no journal at {file}: set SLUICEGATE_HOME or SLUICEGATE_JOURNAL_URL to where it is")
        with self._database.snapshot() as db:
            head = db.execute(select(HEAD.c.number, HEAD.c.digest)).first()
            locks = tuple(LockRow(*row) for row in db.execute(select(LOCKS).order_by(LOCKS.c.model)))
            yield Book(_rows(db), None if head is None else Head(*head), locks, _damage(db))


def _rows(db: Connection) -> Iterator[Row]:
    after = 0
    while page := db.execute(select(EVENTS).where(EVENTS.c.number > after).order_by(EVENTS.c.number).limit(AT_ONCE)).all():
        yield from (Row(*row) for row in page)
        after = page[-1].number


def _damage(db: Connection) -> tuple[str, ...]:
    """SQLite's own check, which finds what no digest can: an index that no longer leads to a row."""
    if db.dialect.name != "sqlite":
        return ()
    return tuple(str(line) for (line,) in db.execute(text("PRAGMA integrity_check")) if line != "ok")
