"""One contract, every journal."""

import threading
from pathlib import Path

import pytest

from sluicegate.adapters.sql_journal import SqlArchive, SqlJournal
from sluicegate.domain.chain import findings
from sluicegate.errors import InputError, UnavailableError
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal
from sluicegate.testing.journal_contract import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> MemoryJournal:
        return MemoryJournal(VirtualClock())


class SqlContract(JournalContract):
    """What every database keeps besides."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, url: str) -> SqlJournal:
        return SqlJournal(url)

    def test_eight_concurrent_writers_leave_no_gap_and_no_fork(self, url: str) -> None:
        _at_once(8, lambda name: _write(url, name))
        events = SqlJournal(url).events("flights")
        assert [e.number for e in events] == list(range(1, 81))
        assert len({e.digest for e in events}) == 80
        assert _damage(url) == []

    def test_a_hundred_starts_at_once_have_one_holder(self, url: str) -> None:
        outcomes: list[str] = []
        _at_once(100, lambda name: _acquire(url, name, outcomes))
        assert sorted(set(outcomes)) == ["LockedError", "held"]
        assert outcomes.count("held") == 1
        assert len(outcomes) == 100

    def test_a_journal_outlives_its_process(self, url: str) -> None:
        SqlJournal(url).append("flights", "r", "OPENED", {"a": 1}, author="x")
        assert SqlJournal(url).events("flights")[0].data == {"a": 1}

    def test_a_snapshot_does_not_see_what_is_appended_meanwhile(self, url: str) -> None:
        journal = SqlJournal(url)
        for number in range(3):
            journal.append("flights", "r", "EVIDENCE", {"n": number}, author="x")
        with SqlArchive(url).read() as book:
            journal.append("flights", "r", "EVIDENCE", {"n": 3}, author="x")
            assert list(findings(book.rows, book.head, book.locks)) == []
            assert book.head is not None
            assert book.head.number == 3


class TestSqliteJournal(SqlContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/journal.db"

    def test_a_missing_folder_is_named_in_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(UnavailableError, match=r"nowhere/journal.db does not answer: unable to open"):
            SqlJournal(f"sqlite:///{tmp_path}/nowhere/journal.db").events("flights")


class TestPostgresJournal(SqlContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


class TestUrl:
    @pytest.mark.parametrize("url", ["mysql://host/journal", "no url"])
    def test_another_database_is_refused_with_what_would_be_valid(self, url: str) -> None:
        with pytest.raises(InputError, match="write sqlite:///FILE or postgresql"):
            SqlJournal(url)

    def test_a_password_is_not_repeated(self) -> None:
        journal = SqlJournal("postgresql://me:secret@127.0.0.1:1/journal")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sluicegate.adapters.sql_journal.database.PATIENCE", 0.0)
            with pytest.raises(UnavailableError, match="does not answer") as refused:
                journal.events("flights")
        assert "secret" not in str(refused.value)


def _at_once(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, args=(name,)) for name in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


def _damage(url: str) -> list[str]:
    with SqlArchive(url).read() as book:
        return [f.message for f in findings(book.rows, book.head, book.locks)] + list(book.damage)
