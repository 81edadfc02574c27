"""The journal's chain: what an entry's digest covers, and how damage is found and located.

Each digest covers the entry and the digest before it; the head says apart from the entries which one is the last, so that a
journal that lost its end is known too. Pure: rows in, findings out.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass

from sluicegate.errors import InputError

LONGEST: Mapping[str, int] = {"model": 64, "rollout": 64, "kind": 32, "author": 200, "reason": 2000}
"""Characters of an entry's texts."""


@dataclass(frozen=True)
class Row:
    """One entry as it is stored; `data` is its JSON text."""

    number: int
    at: float
    model: str
    rollout: str
    kind: str
    author: str
    reason: str
    data: str
    digest: str

    def link(self, before: str) -> str:
        """The digest that the entry should have after one with the digest `before`."""
        return chain(before, *astuple(self)[:-1])


@dataclass(frozen=True)
class Head:
    """Which entry is the last."""

    number: int
    digest: str


@dataclass(frozen=True)
class LockRow:
    """A model's lock as it is stored."""

    model: str
    holder: str | None
    token: int
    seal: str


@dataclass(frozen=True)
class Finding:
    """One damage and where it is."""

    number: int
    """Of the (first) entry concerned; 0 when it is not about an entry."""
    message: str


def chain(before: str, *fields: object) -> str:
    """Digest of an entry: SHA-256 over the digest before it and the entry's fields as JSON (damaged ones may be of any type)."""
    return hashlib.sha256(json.dumps([before, *fields], default=repr).encode()).hexdigest()


def seal(model: str, holder: str | None, token: int) -> str:
    """Digest of a lock."""
    return chain("lock", model, holder, token)


def refuse_unkeepable(**texts: str) -> None:
    """InputError when a text is longer than its place, or cannot be kept by every database."""
    for name, text in texts.items():
        if len(text) > LONGEST[name]:
            raise InputError(
                f"{name} '{text[:40]}…' has {len(text)} characters: the journal keeps {LONGEST[name]}, write it shorter"
            )
        if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise InputError(
                f"{name} {text[:40]!r} holds a character that is no text (NUL or half a surrogate pair): leave it out"
            )


def findings(rows: Iterable[Row], head: Head | None, locks: Iterable[LockRow]) -> Iterator[Finding]:
    """Every damage that the entries, the head and the locks show, in the order of the entries."""
    last: Row | None = None
    befores: tuple[str, ...] = ("",)
    tokens: dict[str, int] = {}
    for row in rows:
        yield from _link(row, last, befores)
        befores = tuple({row.digest, *(row.link(b) for b in befores)})  # its digest alone may be what is damaged
        last = row
        _count_token(row, tokens)
    yield from _end(last, head)
    for lock in locks:
        yield from _lock(lock, tokens.pop(lock.model, 0))
    for model, token in tokens.items():
        yield Finding(0, f"the lock of model '{model}' is missing: its token {token} would be handed out again")


def _link(row: Row, last: Row | None, befores: tuple[str, ...]) -> Iterator[Finding]:
    due = 1 if last is None else last.number + 1
    if row.number > due:
        lost = f"event {due} is" if row.number == due + 1 else f"events {due} to {row.number - 1} are"
        yield Finding(due, f"{lost} missing: event {row.number} cannot be checked against what stood before it")
    elif row.number < due:
        yield Finding(row.number, f"event {row.number} stands after event {due - 1}: out of order, or there twice")
    elif all(row.link(before) != row.digest for before in befores):
        yield Finding(
            row.number, f"event {row.number} is not what was written: its digest, or the link to event {due - 1}, differs"
        )


def _end(last: Row | None, head: Head | None) -> Iterator[Finding]:
    end = Head(last.number, last.digest) if last else Head(0, "")
    if head is None:
        if end.number:
            yield Finding(end.number, f"the head is missing: whether event {end.number} is the last one cannot be told")
    elif not isinstance(head.number, int):
        yield Finding(end.number, f"the head names no event, but {head.number!r}: it was altered")
    elif head.number > end.number:
        yield Finding(end.number + 1, f"the end is cut off: events {end.number + 1} to {head.number} are missing")
    elif head.number < end.number:
        yield Finding(head.number + 1, f"events {head.number + 1} to {end.number} stand behind the head: nobody appended them")
    elif head.digest != end.digest:
        yield Finding(end.number, f"the head's digest is not that of event {end.number}: one of the two was altered")


def _count_token(row: Row, tokens: dict[str, int]) -> None:
    """Remember the largest token that a rollout was opened with. Damaged text counts for nothing: it is reported anyway."""
    if row.kind != "OPENED":
        return
    try:
        token = json.loads(row.data)["token"]
    except (ValueError, KeyError, TypeError):
        return
    if isinstance(token, int):
        tokens[row.model] = max(token, tokens.get(row.model, 0))


def _lock(lock: LockRow, opened_with: int) -> Iterator[Finding]:
    if lock.seal != seal(lock.model, lock.holder, lock.token):
        yield Finding(0, f"the lock of model '{lock.model}' is not what was written: its seal differs")
    elif lock.token < opened_with:
        yield Finding(
            0, f"the lock of model '{lock.model}' is older than its events: token {lock.token}, but {opened_with} was used"
        )
