"""The journal in a SQL database through SQLAlchemy: SQLite by default, PostgreSQL by connection string.

Events are append-only and hash-chained: each digest covers the entry and the digest before it, so an altered, removed or
inserted entry is found and located. Every write runs in one serialised transaction (BEGIN IMMEDIATE on SQLite, a table lock
on PostgreSQL), so that numbers have no gaps and the chain never forks.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text, create_engine, event, insert, select, text, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import OperationalError

from sluicegate.errors import LockedError, RefusedError, StaleTokenError, UnavailableError
from sluicegate.ports.journal import Event, Lock

_META = MetaData()
_EVENTS = Table(
    "events",
    _META,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("model", String(64), nullable=False, index=True),
    Column("rollout", String(64), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)
_LOCKS = Table(
    "locks",
    _META,
    Column("model", String(64), primary_key=True),
    Column("holder", String(200)),
    Column("token", Integer, nullable=False),
)


class SqlJournal:
    """Implements the Journal port over one database URL."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._ready = False

    def append(
        self,
        model: str,
        rollout: str,
        kind: str,
        data: Mapping[str, Any],
        *,
        author: str,
        reason: str = "",
        token: int | None = None,
        unless: Sequence[str] = (),
    ) -> Event:
        body = json.dumps(data, sort_keys=True, allow_nan=False)
        with self._writing() as db:
            if token is not None:
                _refuse_stale(db, model, token)
            _refuse_known(db, model, rollout, unless)
            last = db.execute(select(_EVENTS).order_by(_EVENTS.c.number.desc()).limit(1)).first()
            number, before = (last.number + 1, last.digest) if last else (1, "")
            at = time.time()
            digest = chain(before, number, at, model, rollout, kind, author, reason, body)
            row = {"number": number, "at": at, "model": model, "rollout": rollout, "kind": kind}
            db.execute(insert(_EVENTS).values(**row, author=author, reason=reason, data=body, digest=digest))
        return Event(number, at, model, rollout, kind, author, reason, json.loads(body), digest)

    def events(
        self, model: str, rollout: str | None = None, *, after: int = 0, kinds: Sequence[str] | None = None
    ) -> list[Event]:
        query = select(_EVENTS).where(_EVENTS.c.model == model, _EVENTS.c.number > after).order_by(_EVENTS.c.number)
        if rollout is not None:
            query = query.where(_EVENTS.c.rollout == rollout)
        if kinds is not None:
            query = query.where(_EVENTS.c.kind.in_([str(k) for k in kinds]))
        with self._reading() as db:
            return [_event(row) for row in db.execute(query)]

    def acquire(self, model: str, holder: str) -> Lock:
        with self._writing() as db:
            row = db.execute(select(_LOCKS).where(_LOCKS.c.model == model)).first()
            if row is None:
                db.execute(insert(_LOCKS).values(model=model, holder=holder, token=1))
                return Lock(model, holder, 1)
            if row.holder == holder:
                return Lock(model, holder, row.token)
            if row.holder is not None:
                raise LockedError(f"model '{model}' is held by rollout '{row.holder}': wait for its end, or revert it first")
            db.execute(update(_LOCKS).where(_LOCKS.c.model == model).values(holder=holder, token=row.token + 1))
            return Lock(model, holder, row.token + 1)

    def release(self, model: str, token: int) -> None:
        with self._writing() as db:
            db.execute(
                update(_LOCKS).where(_LOCKS.c.model == model, _LOCKS.c.token == token).values(holder=None, token=token + 1)
            )

    def holder(self, model: str) -> Lock | None:
        with self._reading() as db:
            row = db.execute(select(_LOCKS).where(_LOCKS.c.model == model)).first()
        return Lock(model, row.holder, row.token) if row is not None and row.holder is not None else None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._connection() as db, db.begin():
            if self._engine.dialect.name == "postgresql":
                db.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
            yield db

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._connection() as db, db.execution_options(sluicegate_reads=True).begin():
            yield db

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            if not self._ready:
                self._create_tables()
            with self._engine.connect() as db:
                yield db
        except OperationalError as e:
            raise UnavailableError(f"the journal at {self._engine.url.render_as_string()} does not answer: {e.orig}") from e

    def _create_tables(self) -> None:
        with self._engine.begin() as db:  # serialised: BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL
            if db.dialect.name == "postgresql":
                db.execute(text("SELECT pg_advisory_xact_lock(hashtext('sluicegate'))"))
            _META.create_all(db)
        self._ready = True


def chain(before: str, *fields: object) -> str:
    """Digest of an entry: SHA-256 over the digest before it and the entry's fields as JSON."""
    return hashlib.sha256(json.dumps([before, *fields]).encode()).hexdigest()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})
    event.listen(engine, "connect", _sqlite_settings)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _sqlite_settings(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_immediate(db: Connection) -> None:
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get("sluicegate_reads") else "BEGIN IMMEDIATE")


def _refuse_stale(db: Connection, model: str, token: int) -> None:
    row = db.execute(select(_LOCKS.c.token).where(_LOCKS.c.model == model)).first()
    newest = row.token if row else 0
    if token < newest:
        raise StaleTokenError(f"token {token} for model '{model}' is older than {newest}: a newer rollout has taken over")


def _refuse_known(db: Connection, model: str, rollout: str, kinds: Sequence[str]) -> None:
    mine = (_EVENTS.c.model == model, _EVENTS.c.rollout == rollout, _EVENTS.c.kind.in_([str(k) for k in kinds]))
    found = db.execute(select(_EVENTS.c.kind).where(*mine).limit(1)).scalar() if kinds else None
    if found is not None:
        raise RefusedError(f"rollout '{rollout}' of model '{model}' is {found} already: somebody else was faster")


def _event(row: Row[Any]) -> Event:
    return Event(row.number, row.at, row.model, row.rollout, row.kind, row.author, row.reason, json.loads(row.data), row.digest)
