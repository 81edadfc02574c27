"""The label rows by themselves: is everything there, of its type, in its range, and at a possible time?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluicegate.actions.ingest.faults import Faults
from sluicegate.actions.ingest.fields import Typed, seconds, typed
from sluicegate.actions.ingest.raw import Code, Column, Mask, RawFile
from sluicegate.domain.spec import Data

CLOCK_SKEW = 60.0
"""Seconds by which a producer's clock may be ahead of ours before its labels count as coming from the future."""
TYPES = {"number": "a number such as 12.5", "string": "text", "timestamp": "an ISO 8601 time such as 2013-07-04T09:15:00Z"}


@dataclass(frozen=True)
class Labels:
    """Typed label rows; where a row has a fault its values mean nothing."""

    ids: pa.Array
    event_time: pa.Array
    known_at: pa.Array
    label: NDArray[np.float64]


def wanted(data: Data) -> dict[str, str]:
    """Columns of a label file and their types."""
    return {data.request_id: "string", data.event_time: "timestamp", data.label.field: "number", data.label_time: "timestamp"}


def check_labels(raw: RawFile, data: Data, arrived_at: float, faults: Faults) -> Labels | None:
    """Type and check the label columns; None when a column is missing, and then every row has a fault."""
    absent = [name for name in wanted(data) if name not in raw.columns]
    twice = [name for name in wanted(data) if name in raw.repeated]
    for names, code, what in (
        (absent, Code.MISSING_COLUMN, "is missing"),
        (twice, Code.REPEATED_COLUMN, "is there more than once"),
    ):
        if names:
            have = ", ".join(raw.columns)[:200]
            why = f"the column '{names[0]}' {what} (the file has: {have}): land it again with {', '.join(wanted(data))}"
            _refuse_all(faults, code, why)
            return None
    columns = {name: _typed(raw.columns[name], name, kind, faults) for name, kind in wanted(data).items()}
    ids, event_time, label, known_at = (columns[name].values for name in wanted(data))
    numbers = np.asarray(label.to_numpy(zero_copy_only=False), dtype=np.float64)
    _check_label(numbers, raw.columns[data.label.field], data, faults)
    _check_times(event_time, known_at, raw, data, arrived_at, faults)
    return Labels(ids, event_time, known_at, numbers)


def _typed(column: Column, name: str, kind: str, faults: Faults) -> Typed:
    found = typed(column, kind)
    faults.mark(found.missing, Code.MISSING_VALUE, lambda _, p: f"{p} has nothing in '{name}': every label row needs it")
    faults.mark(found.wrong, Code.WRONG_TYPE, lambda v, p: f"'{name}' in {p} is {v}: write {TYPES[kind]}", column)
    return found


def _check_label(label: NDArray[np.float64], column: Column, data: Data, faults: Faults) -> None:
    name, low, high = data.label.field, data.label.min, data.label.max
    with np.errstate(invalid="ignore"):
        absurd = (label < (-np.inf if low is None else low)) | (label > (np.inf if high is None else high))
    faults.mark(~np.isfinite(label), Code.NOT_FINITE, lambda v, p: f"'{name}' in {p} is {v}: write a finite number", column)
    faults.mark(
        absurd,
        Code.OUT_OF_RANGE,
        lambda v, p: f"'{name}' in {p} is {v}, outside {low} to {high}: mend the value, or the range in spec.yaml",
        column,
    )


def _check_times(event_time: pa.Array, known_at: pa.Array, raw: RawFile, data: Data, arrived_at: float, faults: Faults) -> None:
    happened, known, latest = seconds(event_time), seconds(known_at), arrived_at + CLOCK_SKEW
    _refuse_future(data.event_time, happened > latest, raw, faults)
    _refuse_future(data.label_time, known > latest, raw, faults)
    faults.mark(
        known < happened,
        Code.BEFORE_EVENT,
        lambda v, p: (
            f"'{data.label_time}' in {p} is {v}, before its '{data.event_time}': a label is known after its event; mend the times"
        ),
        raw.columns[data.label_time],
    )


def _refuse_all(faults: Faults, code: Code, why: str) -> None:
    faults.mark(np.ones(faults.size, dtype=bool), code, lambda _, p: f"{p}: {why}")


def _refuse_future(name: str, late: Mask, raw: RawFile, faults: Faults) -> None:
    faults.mark(
        late,
        Code.FUTURE,
        lambda v, p: f"'{name}' in {p} is {v}, after the file arrived: nothing is known from the future; mend the time",
        raw.columns[name],
    )
