"""The Journal port over one database."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from sluicegate.adapters.sql_journal.database import Database
from sluicegate.adapters.sql_journal.schema import EVENTS, HEAD, LOCKS
from sluicegate.domain.chain import Head, chain, refuse_unkeepable, seal
from sluicegate.errors import LockedError, RefusedError, StaleTokenError
from sluicegate.ports.journal import Event, Lock


class SqlJournal:
    """Implements the Journal port over one database URL."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

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
        refuse_unkeepable(model=model, rollout=rollout, kind=kind, author=author, reason=reason)
        body = json.dumps(data, sort_keys=True, allow_nan=False)
        written: list[Event] = []

        def work(db: Connection) -> Event:
            if written and _kept(db, written[-1]):  # the server went away after it had committed, before it could say so
                return written[-1]
            if token is not None:
                _refuse_stale(db, model, token)
            _refuse_known(db, model, rollout, unless)
            written.append(_append(db, (model, rollout, str(kind), author, reason), body))
            return written[-1]

        return self._database.write(work)

    def events(
        self, model: str, rollout: str | None = None, *, after: int = 0, kinds: Sequence[str] | None = None
    ) -> list[Event]:
        query = select(EVENTS).where(EVENTS.c.model == model, EVENTS.c.number > after).order_by(EVENTS.c.number)
        if rollout is not None:
            query = query.where(EVENTS.c.rollout == rollout)
        if kinds is not None:
            query = query.where(EVENTS.c.kind.in_([str(k) for k in kinds]))
        return self._database.read(lambda db: [_event(row) for row in db.execute(query)])

    def acquire(self, model: str, holder: str) -> Lock:
        refuse_unkeepable(model=model, rollout=holder)

        def work(db: Connection) -> Lock:
            held = _lock_row(db, model)
            if held is not None and held.holder == holder:
                return Lock(model, holder, held.token)
            if held is not None and held.holder is not None:
                raise LockedError(f"model '{model}' is held by rollout '{held.holder}': wait for its end, or revert it first")
            token = held.token + 1 if held is not None else 1
            _write_lock(db, model, holder, token)
            return Lock(model, holder, token)

        return self._database.write(work)

    def release(self, model: str, token: int, *, unless: Sequence[str] = ()) -> None:
        def work(db: Connection) -> None:
            held = _lock_row(db, model)
            if held is not None and held.token == token and _known(db, model, held.holder, unless) is None:
                _write_lock(db, model, None, token + 1)

        self._database.write(work)

    def locks(self) -> dict[str, Lock]:
        held = select(LOCKS).where(LOCKS.c.holder.is_not(None)).order_by(LOCKS.c.model)
        return self._database.read(lambda db: {row.model: Lock(row.model, row.holder, row.token) for row in db.execute(held)})


def _append(db: Connection, texts: tuple[str, str, str, str, str], body: str) -> Event:
    """Write the next event and move the head. It stands on the head, so that a lost end stays visible behind later events."""
    head = db.execute(select(HEAD.c.number, HEAD.c.digest)).first()
    newest = db.execute(select(func.max(EVENTS.c.number))).scalar() or 0
    before = Head(head.number, head.digest) if head is not None else Head(0, "")
    number, at = max(before.number, newest) + 1, time.time()
    digest = chain(before.digest, number, at, *texts, body)
    names = ("number", "at", "model", "rollout", "kind", "author", "reason", "data", "digest")
    db.execute(insert(EVENTS).values(dict(zip(names, (number, at, *texts, body, digest), strict=True))))
    if head is None:
        db.execute(insert(HEAD).values(place=1, number=number, digest=digest))
    else:
        db.execute(update(HEAD).values(number=number, digest=digest))
    return Event(number, at, *texts, json.loads(body), digest)


def _kept(db: Connection, event: Event) -> bool:
    return db.execute(select(EVENTS.c.digest).where(EVENTS.c.number == event.number)).scalar() == event.digest


def _lock_row(db: Connection, model: str) -> Row[Any] | None:
    return db.execute(select(LOCKS).where(LOCKS.c.model == model)).first()


def _write_lock(db: Connection, model: str, holder: str | None, token: int) -> None:
    db.execute(delete(LOCKS).where(LOCKS.c.model == model))
    db.execute(insert(LOCKS).values(model=model, holder=holder, token=token, seal=seal(model, holder, token)))


def _refuse_stale(db: Connection, model: str, token: int) -> None:
    row = _lock_row(db, model)
    newest = row.token if row else 0
    if token < newest:
        raise StaleTokenError(f"token {token} for model '{model}' is older than {newest}: a newer rollout has taken over")


def _known(db: Connection, model: str, rollout: str, kinds: Sequence[str]) -> str | None:
    """One of these kinds that the rollout has an event of."""
    mine = (EVENTS.c.model == model, EVENTS.c.rollout == rollout, EVENTS.c.kind.in_([str(k) for k in kinds]))
    return db.execute(select(EVENTS.c.kind).where(*mine).limit(1)).scalar() if kinds else None


def _refuse_known(db: Connection, model: str, rollout: str, kinds: Sequence[str]) -> None:
    if (found := _known(db, model, rollout, kinds)) is not None:
        raise RefusedError(f"rollout '{rollout}' of model '{model}' is {found} already: somebody else was faster")


def _event(row: Row[Any]) -> Event:
    return Event(row.number, row.at, row.model, row.rollout, row.kind, row.author, row.reason, json.loads(row.data), row.digest)
