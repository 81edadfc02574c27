"""Labels meet the requests they belong to: by id, and at the same time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.actions.ingest.faults import Faults
from sluicegate.actions.ingest.fields import Typed, arrow_type, seconds, typed
from sluicegate.actions.ingest.labels import Labels
from sluicegate.actions.ingest.raw import Code, Column, Rows
from sluicegate.actions.ingest.requests import Source
from sluicegate.domain.spec import Data

SAME_TIME = 1.0
"""Seconds by which the event time of a label may differ from that of its request: one of the two may have been cut to seconds."""


@dataclass(frozen=True)
class Joined:
    """Requests of the label rows `rows`; all columns are as long as that."""

    rows: Rows
    columns: Mapping[str, Typed]
    """Event time, user id, inputs, score and version."""
    wrong: Mapping[str, Column]
    """What stood where a value is not of its type, as text; only for columns that have such."""


def join(labels: Labels, found: Iterable[Source], data: Data, faults: Faults) -> Joined:
    """Find the request of every label row without a fault; rows that have none, or one of another time, get a fault."""
    todo = np.flatnonzero(faults.good)
    pieces: list[tuple[Rows, Source, Rows]] = []
    for source in found:
        if not len(todo):
            break
        places = _places(labels.ids.take(pa.array(todo)), source.ids)
        hit = places >= 0
        if hit.any():
            pieces.append((todo[hit], source, places[hit]))
            todo = todo[~hit]
    lost = np.zeros(faults.size, dtype=bool)
    lost[todo] = True
    faults.mark(
        lost,
        Code.NO_PREDICTION,
        lambda v, p: f"no request {v} was ever logged ({p}): readmit the batch once its request log is there",
        pa.chunked_array([labels.ids]),
    )
    joined = _stacked(pieces, data)
    _check_time(labels, joined, data, faults)
    return joined


def _places(ids: pa.Array, known: pa.Array) -> Rows:
    """Where each id stands first among `known`; -1 where it does not."""
    if 4 * len(ids) < len(known):
        near = np.flatnonzero(pc.is_in(known, value_set=ids).to_numpy(zero_copy_only=False))
        places = _places(ids, known.take(pa.array(near))) if len(near) else np.full(len(ids), -1)
        return np.where(places < 0, -1, near[places]) if len(near) else places
    found: Rows = pc.fill_null(pc.index_in(ids, value_set=known), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _stacked(pieces: list[tuple[Rows, Source, Rows]], data: Data) -> Joined:
    """Request columns of all sources, typed, in the order of the label rows."""
    rows = np.concatenate([np.array([], dtype=np.int64), *(piece[0] for piece in pieces)])
    order = np.argsort(rows, kind="stable")
    straight = bool((order == np.arange(len(order))).all())
    columns, wrong = {}, {}
    for name, kind in _kinds(data).items():
        raw = [_raw(source, name, places) for _, source, places in pieces]
        whole = _together([typed(column, kind) for column in raw], kind)
        columns[name] = whole if straight else _reordered(whole, order)
        if whole.wrong.any():
            texts = pa.array([str(v) for column in raw for v in column.to_pylist()])
            wrong[name] = pa.chunked_array([texts.take(pa.array(order))])
    return Joined(rows[order], columns, wrong)


def _kinds(data: Data) -> dict[str, str]:
    asked: dict[str, str] = {
        data.event_time: "timestamp",
        data.user_id: "string",
        **{name: field.type for name, field in data.inputs.items()},
    }
    return asked | {"score": "number", "version": "string"}


def _raw(source: Source, name: str, places: Rows) -> Column:
    if name not in source.columns:
        return pa.chunked_array([pa.nulls(len(places), pa.string())])
    column = source.columns[name]
    if len(places) == len(column) and (places == np.arange(len(places))).all():
        return column
    return column.take(pa.array(places))


def _together(parts: list[Typed], kind: str) -> Typed:
    if len(parts) == 1:
        return parts[0]
    nobody = np.array([], dtype=bool)
    values = pa.concat_arrays([part.values for part in parts]) if parts else pa.array([], arrow_type(kind))
    missing = np.concatenate([nobody, *(part.missing for part in parts)])
    return Typed(values, missing, np.concatenate([nobody, *(part.wrong for part in parts)]))


def _reordered(column: Typed, order: Rows) -> Typed:
    return Typed(column.values.take(pa.array(order)), column.missing[order], column.wrong[order])


def _check_time(labels: Labels, joined: Joined, data: Data, faults: Faults) -> None:
    """The label must speak of the very moment that was asked about."""
    asked = seconds(joined.columns[data.event_time].values)
    told = seconds(labels.event_time)[joined.rows]
    faults.mark(
        ~(np.abs(asked - told) < SAME_TIME),
        Code.OTHER_EVENT_TIME,
        lambda v, p: f"'{data.event_time}' in {p} is not that of the logged request, which is {v}: mend the time or the id",
        pa.chunked_array([joined.columns[data.event_time].values]),
        joined.rows,
    )
