"""One database: connect, bring the schema up to date, run a piece of work in a transaction, wait for a server that restarts."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from sluicegate.adapters.sql_journal.schema import VERSION
from sluicegate.errors import DamagedError, InputError, RefusedError, SluicegateError, UnavailableError

PATIENCE = 15.0
"""Seconds for which a database server that restarts is waited for."""
PAUSE = 0.2
"""Seconds between two attempts."""
LOCK_WAIT = 30
"""Seconds that a writer waits for the writers before it."""
STOPPED_AFTER = 15
"""Seconds after which PostgreSQL ends the transaction of a writer that does nothing: a stopped process must not hold up all others."""

T = TypeVar("T")


class Database:
    """Runs work on one database URL. The schema is checked, and upgraded when it is older, before the first work."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._ready = False
        self._process = os.getpid()

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that no other writer overlaps. Run again when the server went away: it must bear that."""
        return self._patiently(lambda: self._transact(work, writes=True))

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of the database."""
        return self._patiently(lambda: self._transact(work, writes=False))

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees one instant of the database, damaged text included (as lone surrogates)."""
        try:
            self._prepare()
            with self.engine.connect().execution_options(**_snapshot(self.engine)) as db, db.begin():
                db.detach()  # it never goes back into the pool
                raw: Any = db.connection.dbapi_connection
                if db.dialect.name == "sqlite":
                    raw.text_factory = lambda content: content.decode(errors="surrogateescape")
                yield db
        except (DatabaseError, InterfaceError, UnicodeDecodeError) as e:
            raise self._told(e) from e

    def _prepare(self) -> None:
        if self._process != os.getpid():  # a fork: the connections are the parent's
            self.engine.dispose(close=False)
            self._process = os.getpid()
        if not self._ready:
            upgrade(self.engine)
            self._ready = True

    def _transact(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        self._prepare()
        with self.engine.connect() as db:
            if not writes:
                db = db.execution_options(**_snapshot(self.engine))
            with db.begin():
                if writes and db.dialect.name == "postgresql":
                    db.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
                return work(db)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return attempt()
            except (DatabaseError, InterfaceError, UnicodeDecodeError) as e:
                if not _passes(e) or time.monotonic() > until:
                    raise self._told(e) from e
            time.sleep(PAUSE)

    def _told(self, error: DBAPIError | UnicodeDecodeError) -> SluicegateError:
        """The error as a person reads it. SQLite's own message may be the one that cannot be decoded."""
        said = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
        if isinstance(error, OperationalError | InterfaceError):
            return UnavailableError(f"the journal at {self.name} does not answer: {said}")
        return DamagedError(f"the journal at {self.name} is damaged: {said}: see `python -m sluicegate journal verify`")


def upgrade(engine: Engine) -> None:
    """Bring the schema to VERSION, once however many processes start together. RefusedError when it is newer than this code."""
    with engine.begin() as db:  # serialised: BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL
        if db.dialect.name == "postgresql":
            db.execute(text("SELECT pg_advisory_xact_lock(hashtext('sluicegate'))"))
        found = _version(db)
        if found == VERSION:
            return
        if found is not None and found > VERSION:
            raise RefusedError(
                f"the journal at {engine.url.render_as_string()} has schema {found}, this version knows {VERSION}: install the newer one"
            )
        _migrate(db)


def _migrate(db: Connection) -> None:
    from alembic import command  # on demand: most starts find the schema as it should be
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as e:
        raise DamagedError(f"the journal's schema has a version that never was: {e}: restore it from a backup") from e


def _version(db: Connection) -> str | None:
    if not db.dialect.has_table(db, "alembic_version"):
        return None
    return str(db.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _engine(url: str) -> Engine:
    """SQLite's connections are kept, for closing the last one writes the whole log back; PostgreSQL's are not: its server restarts."""
    try:
        parsed = make_url(url)
    except ArgumentError as e:
        raise InputError(f"the journal's URL is not one: {e}: write sqlite:///FILE or postgresql+psycopg://…") from e
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": LOCK_WAIT, "check_same_thread": False})
        event.listen(engine, "connect", _sqlite_settings)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if kind not in ("postgresql", "postgres"):
        raise InputError(f"the journal's URL begins with '{kind}': write sqlite:///FILE or postgresql+psycopg://…")
    limits = f"-c lock_timeout={LOCK_WAIT}s -c idle_in_transaction_session_timeout={STOPPED_AFTER}s"
    try:
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            connect_args={"connect_timeout": 5, "options": limits},
        )
    except (NoSuchModuleError, ModuleNotFoundError) as e:
        raise InputError(
            f"the journal's URL asks for PostgreSQL, but psycopg is not installed ({e}): install psycopg[binary]"
        ) from e


def _snapshot(engine: Engine) -> dict[str, Any]:
    if engine.dialect.name == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {"sluicegate_reads": True}


def _sqlite_settings(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(db: Connection) -> None:
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get("sluicegate_reads") else "BEGIN IMMEDIATE")


def _passes(error: DBAPIError | UnicodeDecodeError) -> bool:
    """Whether a restart of the database server explains the error: a lost or refused connection, not a full disk."""
    if not isinstance(error, DBAPIError) or not type(error.orig).__module__.startswith("psycopg"):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state is None or str(state).startswith(("08", "57P"))
