"""The order `snapshot`: what was known at a time, as an immutable, content-addressed table.

The rows of a snapshot depend on what was said, not on when or how often it landed: of several labels of one request the one known
last (and by then) counts, and rows are ordered by event time and request id. Its id is computed from its values.
"""

import hashlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluicegate.actions.ingest.write import accepted_schema
from sluicegate.domain.order import Order
from sluicegate.errors import OrderError, RefusedError
from sluicegate.ports import Ports

log = logging.getLogger(__name__)


def run_snapshot(order: Order, ports: Ports, folder: Path) -> dict[str, Any]:
    """Put together what was known at `as_of` (ISO 8601 or seconds; null knows everything) from `batches`, and keep it.

    Returns
    -------
    dict
        The manifest: snapshot_id, model, as_of, rows, batches, first_event, last_event.

    Raises
    ------
    RefusedError
        A batch is not committed, or nothing was known yet.
    """
    as_of, batches = _instant(order.need("as_of")), sorted({str(b) for b in order.need("batches")})
    table = known_rows(_read(order.model, batches, ports), as_of)
    if not table.num_rows:
        raise RefusedError(
            f"model '{order.model}' has no labelled row as of {as_of or 'now'} in {len(batches)} batches: land labels first"
        )
    pq.write_table(table, folder / "data.parquet", compression="zstd", compression_level=1)
    manifest = _manifest(order.model, as_of, batches, table)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    ports.dataset.keep(order.model, manifest["snapshot_id"], folder)
    log.info("snapshot %s of %s: %d rows", manifest["snapshot_id"], order.model, table.num_rows)
    return manifest


def known_rows(rows: pa.Table, as_of: datetime | None) -> pa.Table:
    """One row a request: the label known last at `as_of`; ordered by event time, then request id."""
    if as_of is not None:
        rows = rows.filter(pc.less_equal(rows["known_at"], pa.scalar(as_of, pa.timestamp("us", "UTC"))))
    rows = _one_each(rows)
    moments, ids = rows["event_time"].cast(pa.int64()).to_numpy(), rows["request_id"]
    ranks = pc.rank(ids.combine_chunks(), tiebreaker="dense").to_numpy() if rows.num_rows else np.array([], dtype=np.int64)
    order = np.lexsort((ranks, moments))
    if not (order == np.arange(len(order))).all():
        rows = rows.take(pa.array(order))
    return rows.combine_chunks()


def _one_each(rows: pa.Table) -> pa.Table:
    codes = rows["request_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    several = np.asarray(pd.Series(codes).duplicated(keep=False), dtype=bool)
    if not several.any():
        return rows
    disputed = np.flatnonzero(several)
    best: dict[int, tuple[tuple[Any, str], int]] = {}
    for place, row in zip(disputed.tolist(), rows.take(pa.array(disputed)).to_pylist(), strict=True):
        rank = (row["known_at"], json.dumps(row, sort_keys=True, default=str))
        code = int(codes[place])
        if code not in best or rank > best[code][0]:
            best[code] = (rank, place)
    keep = ~several
    keep[[place for _, place in best.values()]] = True
    return rows.filter(pa.array(keep))


def content_id(model: str, table: pa.Table) -> str:
    """32 hex digits that depend on the model, the column names and types, and every value; not on files or library versions."""
    digest = hashlib.sha256(json.dumps([model, [(f.name, str(f.type)) for f in table.schema]]).encode())
    for name in table.column_names:
        column = table[name].combine_chunks()
        nulls = pc.is_null(column).to_numpy(zero_copy_only=False)
        digest.update(np.packbits(nulls).tobytes())
        for part in _bytes(column):
            digest.update(part)
    return digest.hexdigest()[:32]


def _bytes(column: pa.Array) -> list[bytes]:
    if pa.types.is_string(column.type):
        filled = pc.fill_null(column, "")
        lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i4")
        return [lengths.tobytes(), "".join(filled.to_pylist()).encode()]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    zero = pa.scalar(0 if not pa.types.is_boolean(column.type) else False, column.type)
    return [pc.fill_null(column, zero).to_numpy(zero_copy_only=False).tobytes()]


def _read(model: str, batches: list[str], ports: Ports) -> pa.Table:
    schema = accepted_schema(ports.spec(model).data)
    tables = [schema.empty_table()]
    for batch_id in batches:
        folder = ports.dataset.batch(model, batch_id)
        for name in ("accepted", "duplicates"):
            if (folder / f"{name}.parquet").exists():
                tables.append(_fitted(pq.read_table(folder / f"{name}.parquet"), schema))
    return pa.concat_tables(tables)


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of today's spec: a batch of a time when an input was not yet known has none of it."""
    columns = [table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(table.num_rows, f.type) for f in schema]
    return pa.table(columns, schema=schema)


def _manifest(model: str, as_of: datetime | None, batches: list[str], table: pa.Table) -> dict[str, Any]:
    ends = pc.min_max(table["event_time"]).as_py()
    return {
        "snapshot_id": content_id(model, table),
        "model": model,
        "as_of": None if as_of is None else _iso(as_of),
        "rows": table.num_rows,
        "batches": batches,
        "first_event": _iso(ends["min"]),
        "last_event": _iso(ends["max"]),
    }


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError) as e:
        raise OrderError(f"as_of is '{value}': write an ISO 8601 time such as 2013-07-01T00:00:00Z, seconds, or null") from e
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
