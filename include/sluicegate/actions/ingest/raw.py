"""What a landed file holds, before anything about it is believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""Places of rows in the file: the line of a text file (its header is line 1), the row from 1 of a parquet file."""
Column: TypeAlias = pa.ChunkedArray
Mask = NDArray[np.bool_]


class Code(StrEnum):
    """Why a row, or a whole file, was set aside. Failed expectations add their own names to these."""

    UNREADABLE_FILE = "unreadable_file"
    EMPTY_FILE = "empty_file"
    CHANGED_FILE = "changed_file"
    MALFORMED_ROW = "malformed_row"
    ENCODING = "encoding"
    MISSING_COLUMN = "missing_column"
    REPEATED_COLUMN = "repeated_column"
    MISSING_VALUE = "missing_value"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"
    FUTURE = "future"
    BEFORE_EVENT = "before_event"
    NO_PREDICTION = "no_prediction"
    OTHER_EVENT_TIME = "other_event_time"


class UnreadableFileError(Exception):
    """The file as a whole cannot be read: it is kept as it is, with this code and sentence."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Reject:
    """A line that could not even become a row of the table."""

    row: int
    text: str
    code: Code
    message: str


@dataclass(frozen=True)
class RawFile:
    """The rows of a file as they came."""

    columns: Mapping[str, Column]
    rows: Rows
    unit: str
    """How a person finds a row: `line` or `row`."""
    rejects: tuple[Reject, ...] = ()
    warnings: tuple[str, ...] = ()
    repeated: tuple[str, ...] = field(default=())
    """Names that more than one column has; later ones stand in `columns` as name~2, name~3 ..."""

    @property
    def size(self) -> int:
        """Rows in: those of the table and those that could not become one."""
        return len(self.rows) + len(self.rejects)


def named_once(names: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Make column names distinct by numbering; also return those that were repeated."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    return distinct, tuple(name for name, times in seen.items() if times > 1)
