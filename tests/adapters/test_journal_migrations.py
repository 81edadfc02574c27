"""The journal's schema: made, brought up to date without loss, refused when it is newer; however many start together."""

import hashlib
import json
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sluicegate.actions.journal import verify
from sluicegate.adapters.sql_journal import SqlArchive, SqlJournal, schema
from sluicegate.errors import DamagedError, RefusedError

LANDED = """
CREATE TABLE events (
  number INTEGER NOT NULL PRIMARY KEY, at FLOAT NOT NULL, model VARCHAR(64) NOT NULL, rollout VARCHAR(64) NOT NULL,
  kind VARCHAR(32) NOT NULL, author VARCHAR(200) NOT NULL, reason TEXT NOT NULL, data TEXT NOT NULL, digest VARCHAR(64) NOT NULL);
CREATE INDEX ix_events_model ON events (model);
CREATE INDEX ix_events_rollout ON events (rollout);
CREATE TABLE locks (model VARCHAR(64) NOT NULL PRIMARY KEY, holder VARCHAR(200), token INTEGER NOT NULL)
"""
"""The schema before there were migrations."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    return str(request.getfixturevalue("postgres_url"))


def _execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as db:
        for statement in statements:
            db.execute(sa.text(statement))


def _landed_journal(url: str, events: int) -> None:
    """A journal as the version without migrations wrote it: `events` chained events, and a held lock."""
    rows, before = [], ""
    for number in range(1, events + 1):
        fields = [number, number + 0.1, "flights", "r1", "EVIDENCE", "a", "", json.dumps({"n": number})]
        before = hashlib.sha256(json.dumps([before, *fields]).encode()).hexdigest()
        rows.append(f"""INSERT INTO events VALUES ({", ".join(_quoted(v) for v in (*fields, before))})""")
    _execute(
        url, *LANDED.split(";"), *rows, "INSERT INTO locks VALUES ('flights', 'r1', 5)", "INSERT INTO locks VALUES ('x', NULL, 2)"
    )


def _quoted(value: object) -> str:
    return "'" + str(value).replace(":", r"\:") + "'" if isinstance(value, str) else repr(value)


class TestFirstStart:
    def test_an_empty_database_gets_the_tables_that_the_code_wants(self, url: str) -> None:
        SqlJournal(url).events("flights")
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as db:
            differences = compare_metadata(MigrationContext.configure(db), schema.META)
            assert [d for d in differences if "alembic_version" not in repr(d)] == []
            assert db.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == schema.VERSION

    def test_the_few_events_of_a_kind_are_found_without_reading_the_evidence(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/journal.db"
        SqlJournal(url).events("flights")
        asked = "EXPLAIN QUERY PLAN SELECT * FROM events WHERE model = 'm' AND number > 0 AND kind IN ('A', 'B') ORDER BY number"
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as db:
            plan = " ".join(str(row) for row in db.execute(sa.text(asked)))
        assert "USING INDEX ix_events_model_kind (model=? AND kind=? AND number>?)" in plan

    def test_twelve_first_starts_together_make_one_schema_and_lose_no_event(self, url: str) -> None:
        starts = [
            threading.Thread(target=lambda n=n: SqlJournal(url).append("flights", "r", "OPENED", {"n": n}, author="test"))  # type: ignore[misc]
            for n in range(12)
        ]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        assert sorted(e.data["n"] for e in SqlJournal(url).events("flights")) == list(range(12))
        assert verify(SqlArchive(url)).sound


class TestOlderSchema:
    def test_a_journal_from_before_migrations_keeps_every_event_and_its_locks(self, url: str) -> None:
        _landed_journal(url, 3)
        journal = SqlJournal(url)
        assert [(e.number, e.at, e.data) for e in journal.events("flights")] == [(n, n + 0.1, {"n": n}) for n in (1, 2, 3)]
        held = journal.locks().get("flights")
        assert held is not None
        assert (held.holder, held.token) == ("r1", 5)
        assert journal.acquire("x", "r2").token == 3
        assert verify(SqlArchive(url)).sound

    def test_it_goes_on_in_one_chain(self, url: str) -> None:
        _landed_journal(url, 3)
        assert SqlJournal(url).append("flights", "r1", "CUT", {}, author="a", token=5).number == 4
        seen = verify(SqlArchive(url))
        assert seen.sound
        assert seen.events == 4

    def test_damage_from_before_is_still_found_after_the_upgrade(self, url: str) -> None:
        _landed_journal(url, 3)
        _execute(url, "UPDATE events SET author = 'b' WHERE number = 2")
        assert [f.number for f in verify(SqlArchive(url)).found] == [2]


class TestNewerSchema:
    def test_it_is_refused_in_one_sentence_and_left_alone(self, url: str) -> None:
        SqlJournal(url).append("flights", "r1", "OPENED", {}, author="a")
        _execute(url, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(RefusedError, match=f"has schema 9999, this version knows {schema.VERSION}: install the newer one"):
            SqlJournal(url).append("flights", "r1", "CUT", {}, author="a")
        _execute(url, f"UPDATE alembic_version SET version_num = '{schema.VERSION}'")
        assert [e.kind for e in SqlJournal(url).events("flights")] == ["OPENED"]

    def test_a_version_that_never_was_is_called_damage(self, url: str) -> None:
        SqlJournal(url).events("flights")
        _execute(url, "UPDATE alembic_version SET version_num = '0001x'")
        with pytest.raises(DamagedError, match="0001x"):
            SqlJournal(url).events("flights")
