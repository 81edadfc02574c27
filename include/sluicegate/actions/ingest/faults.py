"""Which rows are wrong and why: the first fault of a row counts, and its sentence is written only for rows that have one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluicegate.actions.ingest.raw import Column, Mask, Rows

Sentence = Callable[[str, str], str]
"""(value, place) → what is wrong and what to do, such as ("'x'", "line 17")."""


@dataclass
class _Fault:
    code: str
    sentence: Sentence
    values: Column | None
    taken: Rows | None
    """Row of `values` for each row of the file; None when they are the same rows."""


@dataclass
class Faults:
    """Faults of `size` rows."""

    size: int
    _first: NDArray[np.int32] = field(init=False)
    _known: list[_Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._first = np.zeros(self.size, dtype=np.int32)

    @property
    def good(self) -> Mask:
        """Rows without a fault so far."""
        good: Mask = self._first == 0
        return good

    def mark(self, mask: Mask, code: str, sentence: Sentence, values: Column | None = None, rows: Rows | None = None) -> None:
        """Give the rows under the mask this fault, unless they have one.

        Parameters
        ----------
        mask : array of bool, shape (size,), or (len(rows),) when `rows` says of which rows it speaks
        values : column
            Where the offending value stands; as long as the mask.
        """
        places = np.flatnonzero(mask) if rows is None else rows[mask]
        fresh = self._first[places] == 0
        if not fresh.any():
            return
        taken = None
        if rows is not None:
            taken = np.full(self.size, -1, dtype=np.int64)
            taken[rows] = np.arange(len(rows))
        self._known.append(_Fault(str(code), sentence, values, taken))
        self._first[places[fresh]] = len(self._known)

    def told(self, places: Rows, unit: str) -> tuple[Rows, list[str], list[str]]:
        """Rows with a fault in the order of the file, their codes and their sentences.

        Parameters
        ----------
        places : array of int64, shape (size,)
            What a person calls each row.
        unit : str
            `line` or `row`.
        """
        bad = np.flatnonzero(self._first)
        codes, sentences = np.empty(len(bad), dtype=object), np.empty(len(bad), dtype=object)
        for number, fault in enumerate(self._known, 1):
            mine = np.flatnonzero(self._first[bad] == number)
            rows = bad[mine]
            codes[mine] = fault.code
            shown = _shown(fault, rows)
            sentences[mine] = [fault.sentence(v, f"{unit} {p}") for v, p in zip(shown, places[rows].tolist(), strict=True)]
        return bad, codes.tolist(), sentences.tolist()

    def counts(self) -> Counter[str]:
        """Rows a code."""
        times = np.bincount(self._first, minlength=len(self._known) + 1)
        found: Counter[str] = Counter()
        for number, fault in enumerate(self._known, 1):
            found[fault.code] += int(times[number])
        return Counter({code: rows for code, rows in found.items() if rows})


def _shown(fault: _Fault, rows: Rows) -> list[str]:
    if fault.values is None:
        return [""] * len(rows)
    places = rows if fault.taken is None else fault.taken[rows]
    return [_quoted(value) for value in fault.values.take(pa.array(places)).to_pylist()]


def _quoted(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
