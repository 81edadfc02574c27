"""Verify: every entry is what was written, none is missing, the last one is the last one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sluicegate.domain.chain import Finding, Head, Row, findings
from sluicegate.errors import DamagedError
from sluicegate.ports.archive import Archive

MOST = 20
"""Findings that are listed; a broken disk has more."""


@dataclass(frozen=True)
class Verified:
    """What was found, and up to where."""

    events: int
    models: tuple[str, ...]
    head: Head | None
    """Note it down elsewhere: a later verify that is given it cannot be deceived by somebody who rewrote everything."""
    found: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return not self.found


def verify(archive: Archive, expected: Head | None = None) -> Verified:
    """Check the whole chain (it runs through all models), the head, the locks and the storage.

    `expected` is a head that was noted down earlier: that event must still be there with that digest.
    """
    counted, found, head = _Counted(expected), list[Finding](), None
    try:
        with archive.read() as book:
            head = book.head
            found += [Finding(0, f"the database says: {line}") for line in book.damage]
            found += islice(findings(counted.count(book.rows), book.head, book.locks), MOST)
            found += counted.unmet()
    except DamagedError as e:
        found.append(Finding(counted.last + 1, f"behind event {counted.last}: {e}"))
    return Verified(counted.events, tuple(sorted(counted.models)), head, tuple(found[:MOST]))


class _Counted:
    """What goes by while the chain is checked."""

    def __init__(self, expected: Head | None) -> None:
        self.events, self.models, self._expected = 0, set[str](), expected
        self.last, self._seen = 0, ""

    def count(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.events, self.last = self.events + 1, row.number
            self.models.add(str(row.model))
            if self._expected is not None and row.number == self._expected.number:
                self._seen = row.digest
            yield row

    def unmet(self) -> Iterator[Finding]:
        if self._expected is not None and self._seen != self._expected.digest:
            number = self._expected.number
            yield Finding(number, f"event {number} is not the one that was noted down: the journal was rewritten before or at it")
