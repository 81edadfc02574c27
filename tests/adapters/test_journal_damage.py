"""One flipped byte anywhere in the journal's database, its file or its export is found."""

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from sluicegate.actions.journal import verify
from sluicegate.adapters.journal_file import JournalFile
from sluicegate.adapters.sql_journal import SqlArchive, SqlJournal
from sluicegate.domain.chain import Head, Row
from sluicegate.errors import DamagedError, InputError, SluicegateError

FLIPS = int(os.environ.get("SLUICEGATE_JOURNAL_FLIPS", "60"))
"""Bytes of the file that are flipped one after the other; drawn, seeded."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with events of two models and a held lock, in one file."""
    path = tmp_path_factory.mktemp("whole") / "journal.db"
    journal = SqlJournal(f"sqlite:///{path}")
    token = journal.acquire("flights", "r1").token
    journal.append("flights", "r1", "OPENED", {"token": token}, author="é", reason="new")
    for number in range(8):
        journal.append(("flights", "claims")[number % 2], "r1", "EVIDENCE", {"n": number, "x": "y" * 300}, author="a", reason="b")
    journal.release("claims", journal.acquire("claims", "r2").token)
    alone = path.with_name("alone.db")  # without a write-ahead log beside it
    with sqlite3.connect(path) as db:
        db.execute("VACUUM INTO ?", [str(alone)])
    db.close()
    return alone


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "journal.db"))


def _cells(path: Path) -> Iterator[tuple[str, str, int, Any]]:
    """Table, column, row id and value of every cell."""
    with sqlite3.connect(path) as db:
        for table in ("events", "locks", "head"):
            columns = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
            for row in db.execute(f"SELECT rowid, {', '.join(columns)} FROM {table}").fetchall():
                yield from ((table, column, row[0], value) for column, value in zip(columns, row[1:], strict=True))
    db.close()


def _set(path: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement, values)
    db.close()


def _flipped(value: Any) -> Any:
    """The value with its last bit (of an integer, bit 6) flipped."""
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    return value + 2**-20 if isinstance(value, float) else (value or 0) ^ 64


def _found(path: Path) -> list[int] | str:
    """Numbers of the findings, or the sentence with which the journal is refused as a whole."""
    try:
        return [f.number for f in verify(SqlArchive(f"sqlite:///{path}")).found]
    except SluicegateError as e:
        return str(e)


def _read(path: Path) -> Any:
    """All that the port gives back, through every index."""
    journal = SqlJournal(f"sqlite:///{path}")
    locks = [journal.locks().get(m) for m in ("flights", "claims")]
    return locks, [journal.events(m, r) for m in ("flights", "claims") for r in (None, "r1")]


def _break_after(count: int, rows: Iterator[Row]) -> Iterator[Row]:
    yield from islice(rows, count)
    raise DamagedError("the disk ends here")


class TestOneCell:
    def test_a_flipped_bit_in_any_column_of_any_row_is_found_and_an_event_is_located(self, whole: Path, tmp_path: Path) -> None:
        cells = [c for c in _cells(whole) if c[1] != "place"]
        assert len(cells) > 80
        for table, column, row, value in cells:
            path = Path(shutil.copy(whole, tmp_path / "flipped.db"))
            _set(path, f"UPDATE {table} SET {column} = ? WHERE rowid = ?", _flipped(value), row)
            found = _found(path)
            assert found, (table, column, row)
            if table == "events" and column != "number":
                assert {row} <= set(found) <= {row, 0}, (column, row)

    def test_a_deleted_row_of_any_table_is_found(self, whole: Path, tmp_path: Path) -> None:
        rows = sorted({(table, row) for table, _, row, _ in _cells(whole)})
        for table, row in rows:
            if (table, row) == ("locks", 2):  # the lock of a model for which no rollout was ever opened
                continue
            path = Path(shutil.copy(whole, tmp_path / "deleted.db"))
            _set(path, f"DELETE FROM {table} WHERE rowid = ?", row)
            assert _found(path), (table, row)


class TestOneByteOfTheFile:
    def test_it_is_found_or_it_changes_nothing_that_is_read(self, whole: Path, tmp_path: Path) -> None:
        content, chance, expected = whole.read_bytes(), random.Random(11), _read(whole)
        outcomes = {"found": 0, "unread": 0}
        for place in chance.sample(range(len(content)), FLIPS):
            path = tmp_path / "flipped.db"
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :])
            if _found(path):
                outcomes["found"] += 1
            else:
                assert _read(path) == expected, place
                outcomes["unread"] += 1
            for rest in tmp_path.glob("flipped.db*"):
                rest.unlink()
        assert outcomes["found"] > FLIPS / 10


class TestNoJournal:
    def test_a_journal_that_is_not_there_is_no_sound_one(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no journal at .*absent\.db"):
            verify(SqlArchive(f"sqlite:///{tmp_path}/absent.db"))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("content", ["", "no json", '{"sluicegate_journal": 2, "head": null, "locks": []}', "{}"])
    def test_a_file_that_is_no_export_is_refused_by_its_name(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "other.jsonl").write_text(content)
        with pytest.raises(InputError, match=r"other.jsonl"):
            verify(JournalFile(tmp_path / "other.jsonl"))


class TestExport:
    @pytest.fixture
    def export(self, path: Path, tmp_path: Path) -> Path:
        file = tmp_path / "journal.jsonl"
        with SqlArchive(f"sqlite:///{path}").read() as book:
            assert JournalFile(file).write(book) == 9
        return file

    def test_it_verifies_like_the_database(self, path: Path, export: Path) -> None:
        assert verify(JournalFile(export)) == verify(SqlArchive(f"sqlite:///{path}"))
        assert verify(JournalFile(export)).sound

    def test_any_flipped_byte_is_found(self, export: Path) -> None:
        content, chance = export.read_bytes(), random.Random(3)
        for place in chance.sample(range(len(content)), FLIPS):
            export.write_bytes(content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :])
            try:
                sound = verify(JournalFile(export)).sound
            except SluicegateError:
                sound = False
            assert not sound, (place, content[place - 10 : place + 10])

    def test_a_file_that_was_cut_off_anywhere_is_found(self, export: Path) -> None:
        lines = export.read_text().splitlines(keepends=True)
        for kept in range(1, len(lines)):
            export.write_text("".join(lines[:kept]))
            assert next(f.number for f in verify(JournalFile(export)).found) == kept

    def test_damage_is_exported_as_it_is(self, path: Path, export: Path) -> None:
        _set(path, "UPDATE events SET at = 'x' WHERE number = 5")
        with SqlArchive(f"sqlite:///{path}").read() as book:
            JournalFile(export).write(book)
        assert [f.number for f in verify(JournalFile(export)).found] == [5]

    def test_an_export_that_fails_leaves_the_older_one_and_no_rest(self, path: Path, export: Path) -> None:
        older = export.read_text()
        with SqlArchive(f"sqlite:///{path}").read() as book:
            broken = replace(book, rows=_break_after(4, book.rows))
            with pytest.raises(DamagedError):
                JournalFile(export).write(broken)
        assert export.read_text() == older
        assert not list(export.parent.glob(".*"))


class TestWhoeverRewritesEverything:
    def test_a_head_that_was_noted_down_earlier_still_convicts(self, path: Path, tmp_path: Path) -> None:
        noted = verify(SqlArchive(f"sqlite:///{path}")).head
        assert noted is not None
        url = f"sqlite:///{tmp_path}/forged.db"
        for number in range(12):
            SqlJournal(url).append("flights", "r1", "EVIDENCE", {"n": number}, author="forger")
        assert verify(SqlArchive(url)).sound
        assert [f.number for f in verify(SqlArchive(url), noted).found] == [noted.number]
        assert verify(SqlArchive(f"sqlite:///{path}"), noted).sound
        assert [f.number for f in verify(SqlArchive(url), Head(99, noted.digest)).found] == [99]
