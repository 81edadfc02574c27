"""What was asked, by id: the prediction logs of our servers, and the request logs of former systems (history).

An answered request counts before one that was only mirrored, and both before the history; of equal ones the first received.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson
import pyarrow.parquet as pq

from sluicegate.actions.ingest.raw import Column
from sluicegate.domain.spec import Data
from sluicegate.ports import RequestLogs

ARROW = {"number": pa.float64(), "integer": pa.float64(), "boolean": pa.bool_()}
SERVED = {"score": pa.float64(), "version": pa.string()}
"""What only our own servers' logs know; the history has none."""
LOGGED = ("received_at", "score")
"""Numbers that our own servers write, always as numbers."""


@dataclass(frozen=True)
class Source:
    """Logged requests of one origin, raw."""

    ids: pa.Array
    columns: Mapping[str, Column]
    """Request id, event time, user id, inputs (those that the log has), score and version; as long as `ids`."""


def served(requests: RequestLogs, model: str, data: Data) -> pa.Table | None:
    """Every line of our own servers' prediction logs; None when there are none."""
    logs = requests.served(model)
    return pa.concat_tables(_alike([_served(path, data) for path in logs])) if logs else None


def sources(requests: RequestLogs, model: str, data: Data, logged: pa.Table | None = None) -> Iterator[Source]:
    """Where a request may be found, in the order in which they count; `logged` is what `served` gave, if it was asked already."""
    logged = served(requests, model, data) if logged is None else logged
    if logged is not None:
        yield _ordered(logged, data)
    for path in requests.history(model):
        yield from _history(path, data)


def _fields(data: Data) -> dict[str, pa.DataType]:
    """Fields of a request by their Arrow type; times and everything else as text."""
    inputs = {name: ARROW.get(field.type, pa.string()) for name, field in data.inputs.items()}
    return {data.request_id: pa.string(), data.event_time: pa.string(), data.user_id: pa.string(), **inputs}


def _served(path: Path, data: Data) -> pa.Table:
    """One prediction log; a torn last line, which kill -9 leaves, is no line."""
    names = _fields(data)
    flat = {
        "request_id": pa.string(),
        "event_time": pa.string(),
        "received_at": pa.float64(),
        "role": pa.string(),
        "user": pa.string(),
        "decision": pa.bool_(),
    }
    inputs = {name: kind for name, kind in names.items() if name not in (data.request_id, data.event_time)}
    schema = pa.schema({**flat, **SERVED, "inputs": pa.struct(inputs)})
    table = _json_lines(path, schema)
    asked = {name: pc.struct_field(table["inputs"], name) for name in inputs}
    asked[data.user_id] = pc.coalesce(asked[data.user_id], table["user"])
    named = {data.request_id: table["request_id"], data.event_time: table["event_time"]}
    rest = {name: table[name] for name in ("received_at", "role", "user", "decision", *SERVED)}
    return pa.table({f"asked.{name}": column for name, column in {**named, **asked}.items()} | rest)


def _json_lines(path: Path, schema: pa.Schema) -> pa.Table:
    body = path.read_bytes()
    body = body[: body.rfind(b"\n") + 1]
    if not body:
        return schema.empty_table()
    options = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        return pajson.read_json(pa.BufferReader(body), parse_options=options).select(schema.names)
    except (pa.ArrowException, KeyError):
        return _line_by_line(body, schema)


def _line_by_line(body: bytes, schema: pa.Schema) -> pa.Table:
    """The slow way for a log with a broken line: that line is skipped, and all inputs are text, so that a wrong one is told."""
    rows = []
    for line in body.splitlines():
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    kinds = {f.name: _as_text(f.type) if f.name not in LOGGED else f.type for f in schema}
    return pa.Table.from_pylist([{n: _fitted(row.get(n), kind) for n, kind in kinds.items()} for row in rows], pa.schema(kinds))


def _as_text(kind: pa.DataType) -> pa.DataType:
    return pa.struct([(f.name, pa.string()) for f in kind]) if pa.types.is_struct(kind) else pa.string()


def _fitted(value: object, kind: pa.DataType) -> object:
    if pa.types.is_struct(kind):
        return {f.name: _fitted(value.get(f.name), f.type) for f in kind} if isinstance(value, dict) else None
    if pa.types.is_floating(kind):
        return float(value) if isinstance(value, int | float) else None
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    """When one log had to be read as text, the others become text too."""
    kinds = {name: {table.schema.field(name).type for table in tables} for name in tables[0].column_names}
    schema = pa.schema({name: pa.string() if len(seen) > 1 else next(iter(seen)) for name, seen in kinds.items()})
    return [table.cast(schema) for table in tables]


def _ordered(table: pa.Table, data: Data) -> Source:
    """Answers before mirrored requests, then by the time at which they were received."""
    answered = pc.equal(table["role"], "answer").to_numpy(zero_copy_only=False).astype(bool)
    received = pc.fill_null(table["received_at"], np.inf).to_numpy()
    table = table.take(pa.array(np.lexsort((received, ~answered)))).combine_chunks()
    answered = np.sort(~answered) == 0
    columns = {name.removeprefix("asked."): table[name] for name in table.column_names if name.startswith("asked.")}
    nobody = pa.array(~answered)
    columns |= {name: pc.if_else(nobody, pa.scalar(None, kind), table[name]) for name, kind in SERVED.items()}
    return Source(columns[data.request_id].combine_chunks(), columns)


def _history(path: Path, data: Data) -> Iterator[Source]:
    names = _fields(data)
    if path.suffix == ".parquet":
        file = pq.ParquetFile(path)
        table = file.read(columns=[name for name in names if name in file.schema_arrow.names])
    elif path.suffix == ".jsonl":
        table = _json_lines(path, pa.schema(names))
    else:
        return
    if data.request_id in table.column_names:
        columns = dict(zip(table.column_names, table.columns, strict=True))
        columns |= {name: pa.chunked_array([pa.nulls(table.num_rows, kind)]) for name, kind in SERVED.items()}
        ids = columns[data.request_id].cast(pa.string())
        yield Source(ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids, columns)
