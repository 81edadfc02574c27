"""The journal under real processes: at once, killed, on a full disk, with a database server that goes away and comes back."""

import multiprocessing
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from psycopg.errors import AdminShutdown
from sqlalchemy.exc import OperationalError

from sluicegate.actions.journal import verify
from sluicegate.actions.release import deploy, open_rollout, promote
from sluicegate.adapters.sql_journal import SqlArchive, SqlJournal
from sluicegate.adapters.sql_journal.database import Database
from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import LockedError, SluicegateError, UnavailableError
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.postgres import PostgresServer

pytestmark = pytest.mark.slow
FORK = multiprocessing.get_context("fork")
KILLS = int(os.environ.get("SLUICEGATE_JOURNAL_KILLS", "12"))
"""Rounds of kill -9."""
SPEC = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {"stages": [{"mirror": 50, "bake": "5s"}, {"weight": 100, "bake": "5s"}], "gates": {"p95_ms": 25}},
}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    return str(request.getfixturevalue("postgres_url"))


class TestAtOnce:
    def test_of_a_hundred_starts_in_processes_of_their_own_one_opens_and_the_others_name_it(self, url: str) -> None:
        _world_with_a_champion(url)
        said = Counter(_answers(100, lambda name: _open(url, name)))
        ((winner, one),) = [(text, count) for text, count in said.items() if text.startswith("opened")]
        assert one == 1
        assert said[f"LockedError: {winner.removeprefix('opened ')}"] == 99
        opened = SqlJournal(url).events("toy", kinds=(Kind.OPENED,))
        assert [e.rollout for e in opened[1:]] == [winner.removeprefix("opened ")]

    def test_eight_writers_in_processes_of_their_own_keep_one_unbroken_chain(self, url: str) -> None:
        assert _answers(8, lambda name: _append_many(url, name, 20)) == ["20"] * 8
        assert verify(SqlArchive(url)).sound
        written = Counter((e.data["writer"], e.data["n"]) for e in SqlJournal(url).events("toy"))
        assert written == Counter((w, n) for w in range(8) for n in range(20))


class TestKilled:
    def test_a_writer_that_is_killed_in_mid_append_loses_nothing_that_it_was_told_is_kept(self, tmp_path: Path) -> None:
        url, chance = f"sqlite:///{tmp_path}/journal.db", random.Random(5)
        for kill in range(KILLS):
            told = _told_until_killed(url, kill, chance.uniform(0.0, 0.15))
            seen = verify(SqlArchive(url))
            assert seen.sound, seen.found
            kept = [e.data["n"] for e in SqlJournal(url).events("toy", f"r{kill}")]
            assert kept == list(range(len(kept)))
            assert len(told) <= len(kept) <= len(told) + 1


class TestFullDisk:
    def test_an_append_that_finds_no_room_is_refused_in_a_sentence_and_the_chain_goes_on_afterwards(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/journal.db"
        (said,) = _answers(1, lambda _: _append_without_room(url, tmp_path / "journal.db"))
        assert said.startswith("UnavailableError: the journal at sqlite:")
        before = verify(SqlArchive(url))
        assert before.sound, before.found
        assert before.events > 1
        assert SqlJournal(url).append("toy", "r", "EVIDENCE", {}, author="test").number == before.events + 1
        assert verify(SqlArchive(url)).sound


class TestDatabaseRestarts:
    @pytest.fixture
    def server(self, postgres: PostgresServer) -> Iterator[PostgresServer]:
        """One of its own, to be stopped."""
        server = PostgresServer()
        try:
            server.start()
            yield server
        finally:
            server.remove()

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_writers_wait_for_it_and_no_event_is_lost_or_doubled(self, server: PostgresServer, mode: str) -> None:
        url = server.database("journal")
        SqlJournal(url).append("toy", "r", "EVIDENCE", {"writer": -1, "n": 0}, author="test")
        writers = [_start(lambda name: _append_many(url, name, 60), name) for name in range(4)]
        time.sleep(0.5)
        server.stop(mode)
        time.sleep(0.5)
        server.start()
        assert [_answer(*writer) for writer in writers] == ["60"] * 4
        written = Counter((e.data["writer"], e.data["n"]) for e in SqlJournal(url).events("toy"))
        assert written == Counter([(-1, 0), *((w, n) for w in range(4) for n in range(60))])
        assert verify(SqlArchive(url)).sound

    def test_an_append_that_was_committed_before_the_connection_broke_is_not_written_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal, whole, broken = SqlJournal(f"sqlite:///{tmp_path}/journal.db"), Database._transact, []

        def lose_the_reply(self: Database, work: Callable[[Any], Any], *, writes: bool) -> Any:
            done = whole(self, work, writes=writes)
            if writes and not broken:
                broken.append(True)
                raise OperationalError("COMMIT", {}, AdminShutdown("terminating connection"))
            return done

        monkeypatch.setattr(Database, "_transact", lose_the_reply)
        event = journal.append("toy", "r", "EVIDENCE", {}, author="test", unless=("EVIDENCE",))
        assert broken
        assert journal.events("toy") == [event]

    def test_a_server_that_stays_away_is_given_up_in_one_sentence(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = SqlJournal(server.database("journal"))
        journal.append("toy", "r", "EVIDENCE", {}, author="test")
        server.stop()
        monkeypatch.setattr("sluicegate.adapters.sql_journal.database.PATIENCE", 0.5)
        with pytest.raises(UnavailableError, match="does not answer"):
            journal.append("toy", "r", "EVIDENCE", {}, author="test")

    def test_a_writer_that_was_stopped_in_its_transaction_does_not_hold_up_the_others_for_ever(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sluicegate.adapters.sql_journal.database.STOPPED_AFTER", 1)
        url = server.database("journal")
        SqlJournal(url).append("toy", "r", "EVIDENCE", {}, author="test")
        here, there = FORK.Pipe()
        writer = FORK.Process(target=_stay_in_a_transaction, args=(url, there))
        writer.start()
        assert here.recv() == "in the transaction"
        os.kill(_pid(writer), signal.SIGSTOP)
        try:
            assert SqlJournal(url).append("toy", "r", "EVIDENCE", {}, author="other").number == 2
        finally:
            os.kill(_pid(writer), signal.SIGKILL)
            writer.join()
            here.close()
            there.close()


def _start(work: Callable[[int], Any], name: int) -> tuple[BaseProcess, Connection]:
    """A process that does the work and sends what came out, or the error."""
    here, there = FORK.Pipe()

    def run() -> None:
        try:
            there.send(str(work(name)))
        except SluicegateError as e:
            there.send(f"{type(e).__name__}: {e}")

    process = FORK.Process(target=run)
    process.start()
    there.close()
    return process, here


def _answer(process: BaseProcess, reply: Connection) -> str:
    try:
        return str(reply.recv())
    finally:
        reply.close()
        process.join()


def _answers(count: int, work: Callable[[int], Any]) -> list[str]:
    return [_answer(*started) for started in [_start(work, name) for name in range(count)]]


def _pid(process: BaseProcess) -> int:
    assert process.pid is not None
    return process.pid


def _world(url: str) -> FakePorts:
    world = FakePorts(parse_spec(SPEC, "toy/spec.yaml"))
    world.journal = SqlJournal(url)
    return world


def _world_with_a_champion(url: str) -> None:
    world = _world(url)
    for version in ("1", "2"):
        world.register(version)
    first = open_rollout(world, "toy", "1", author="test", run_id="first")
    deploy(world, "toy", first.rollout_id, author="test")
    promote(world, "toy", first.rollout_id, author="test")


def _open(url: str, name: int) -> str:
    try:
        return f"opened {open_rollout(_world(url), 'toy', '2', author='test', run_id=f'run-{name}').rollout_id}"
    except LockedError as e:
        return f"LockedError: {str(e).split(chr(39))[3]}"


def _append_many(url: str, name: int, count: int) -> int:
    journal = SqlJournal(url)
    for number in range(count):
        journal.append("toy", "r", "EVIDENCE", {"writer": name, "n": number}, author="test")
    return count


def _told_until_killed(url: str, kill: int, after: float) -> list[int]:
    """Appends of a process until it is killed; the numbers that it was told are written."""
    here, there = FORK.Pipe()

    def run() -> None:
        journal = SqlJournal(url)
        for number in range(10_000):
            journal.append("toy", f"r{kill}", "EVIDENCE", {"n": number, "filler": "x" * 3000}, author="test")
            there.send(number)

    process = FORK.Process(target=run)
    process.start()
    there.close()
    told = [here.recv()]
    time.sleep(after)
    os.kill(_pid(process), signal.SIGKILL)
    process.join()
    while here.poll():
        try:
            told.append(here.recv())
        except EOFError:
            break
    here.close()
    return told


def _append_without_room(url: str, path: Path) -> int:
    """Append until no file may grow any more."""
    journal = SqlJournal(url)
    journal.append("toy", "r", "EVIDENCE", {}, author="test")
    room = max(p.stat().st_size for p in path.parent.iterdir()) + 50_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    for number in range(1000):
        journal.append("toy", "r", "EVIDENCE", {"n": number, "filler": "x" * 3000}, author="test")
    return 1000


def _stay_in_a_transaction(url: str, there: Connection) -> None:
    def work(_: object) -> None:
        there.send("in the transaction")
        time.sleep(600)

    Database(url).write(work)
