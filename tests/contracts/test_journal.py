"""One contract, every journal."""

import threading
from pathlib import Path

import pytest

from sluicegate.adapters.sql_journal import SqlJournal
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal
from sluicegate.testing.journal_contract import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> MemoryJournal:
        return MemoryJournal(VirtualClock())


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, tmp_path: Path) -> SqlJournal:
        return SqlJournal(f"sqlite:///{tmp_path}/journal.db")

    def test_eight_concurrent_writers_leave_no_gap_and_no_fork(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/journal.db"
        writers = [threading.Thread(target=_write, args=(url, name)) for name in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        events = SqlJournal(url).events("flights")
        assert [e.number for e in events] == list(range(1, 81))
        assert len({e.digest for e in events}) == 80

    def test_a_hundred_starts_at_once_have_one_holder(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/journal.db"
        outcomes: list[str] = []
        starts = [threading.Thread(target=_acquire, args=(url, name, outcomes)) for name in range(100)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        assert sorted(set(outcomes)) == ["LockedError", "held"]
        assert outcomes.count("held") == 1
        assert len(outcomes) == 100

    def test_a_journal_outlives_its_process(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/journal.db"
        SqlJournal(url).append("flights", "r", "OPENED", {"a": 1}, author="x")
        assert SqlJournal(url).events("flights")[0].data == {"a": 1}


def _write(url: str, name: int) -> None:
    journal = SqlJournal(url)
    for number in range(10):
        journal.append("flights", "r", "EVIDENCE", {"writer": name, "n": number}, author="test")


def _acquire(url: str, name: int, outcomes: list[str]) -> None:
    try:
        SqlJournal(url).acquire("flights", f"r{name}")
        outcomes.append("held")
    except Exception as e:
        outcomes.append(type(e).__name__)
