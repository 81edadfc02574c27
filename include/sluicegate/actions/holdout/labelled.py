"""Labelled rows of a snapshot, as training and comparison both see them: raw request rows beside what became of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import RefusedError

Row = dict[str, Any]
Times = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Labelled:
    """Rows ordered by event time, then request id."""

    columns: Mapping[str, list[Any]]
    """Raw request fields by their names in the request: request id, event time (ISO-8601 with Z), user id, inputs."""
    request_id: NDArray[np.str_]
    user: NDArray[np.str_]
    event_time: Times
    """Seconds since the epoch."""
    known_at: Times
    """When the label became known, seconds since the epoch."""
    y: NDArray[np.float64]
    """0 and 1 for classification, the measured number for regression."""
    as_of: float
    """Nothing in the snapshot was known later, seconds since the epoch; infinity when the snapshot does not say."""

    def __len__(self) -> int:
        return len(self.request_id)

    def rows(self, where: Mask | None = None) -> list[Row]:
        """The chosen rows as requests carried them."""
        names = list(self.columns)
        columns = [self.columns[name] for name in names]
        if where is not None:
            chosen = np.flatnonzero(where).tolist()
            columns = [[column[i] for i in chosen] for column in columns]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def chosen(self, where: Mask) -> "Labelled":
        """These rows alone."""
        keep = np.flatnonzero(where)
        columns = {name: [column[i] for i in keep.tolist()] for name, column in self.columns.items()}
        arrays = (self.request_id[keep], self.user[keep], self.event_time[keep], self.known_at[keep], self.y[keep])
        return Labelled(columns, *arrays, self.as_of)


def load_labelled(folder: Path, spec: ModelSpec) -> Labelled:
    """Read a snapshot folder (data.parquet, manifest.json).

    Raises
    ------
    RefusedError
        A row happened or became known after the snapshot's as_of, or a request id occurs twice: such a snapshot would leak.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    table = pq.read_table(folder / "data.parquet", columns=_wanted(spec))
    rows = _labelled(table, spec, _instant(manifest.get("as_of")))
    _refuse_future(rows)
    return rows


def _wanted(spec: ModelSpec) -> list[str]:
    return list(dict.fromkeys(("request_id", "event_time", "user", *spec.data.inputs, "label", "known_at")))


def _labelled(table: pa.Table, spec: ModelSpec, as_of: float) -> Labelled:
    event_time = _seconds(table["event_time"])
    order = np.lexsort((table["request_id"].to_numpy(zero_copy_only=False), event_time))
    if (np.diff(order) != 1).any():
        table, event_time = table.take(order), event_time[order]
    columns = {
        spec.data.request_id: table["request_id"].to_pylist(),
        spec.data.event_time: _iso(event_time),
        spec.data.user_id: table["user"].to_pylist(),
        **{name: _plain(table[name]) for name in spec.data.inputs},
    }
    label = table["label"].cast(pa.float64()).to_numpy()
    above = spec.data.label.above
    return Labelled(
        columns,
        np.asarray(columns[spec.data.request_id], dtype=str),
        np.asarray([str(u) for u in columns[spec.data.user_id]], dtype=str),
        event_time,
        _seconds(table["known_at"]),
        label if above is None else (label > above).astype(np.float64),
        as_of,
    )


def _refuse_future(rows: Labelled) -> None:
    for name, times in (("event_time", rows.event_time), ("known_at", rows.known_at)):
        late = np.flatnonzero(times > rows.as_of)
        if late.size:
            row, when = rows.request_id[late[0]], _text(times[late[0]])
            raise RefusedError(
                f"the row '{row}' has {name} {when}, after the snapshot's as_of {_text(rows.as_of)} ({late.size} such rows): "
                "a snapshot from the future would leak, make it again"
            )
    names, counts = np.unique(rows.request_id, return_counts=True)
    if (counts > 1).any():
        twice = names[counts > 1]
        raise RefusedError(
            f"the request '{twice[0]}' occurs twice ({twice.size} such): it could stand on both sides of the split"
        )


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """JSON's types: numbers, strings, None; a time is ISO-8601 text."""
    if pa.types.is_timestamp(column.type):
        return _iso(_seconds(column))
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    plain: list[Any] = column.to_pylist()
    return plain


def _seconds(column: pa.ChunkedArray) -> Times:
    """Timestamps (any unit) or numbers as seconds since the epoch."""
    if pa.types.is_timestamp(column.type):
        whole = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_numpy()
        return np.asarray(whole / 1e6, dtype=np.float64)
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _iso(times: Times) -> list[str]:
    stamps = np.round(times * 1000).astype("int64").astype("datetime64[ms]")
    text = np.datetime_as_string(stamps, unit="s" if not (times % 1).any() else "ms")
    return [f"{t}Z" for t in text.tolist()]


def _instant(value: Any) -> float:
    """Seconds since the epoch of a manifest's time: number or ISO-8601 text; absent means no bound."""
    if value is None:
        return float("inf")
    if isinstance(value, int | float):
        return float(value)
    stamp = datetime.fromisoformat(str(value))
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
