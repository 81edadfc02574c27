"""A checked batch as files: accepted, duplicates, quarantined, outcomes (.parquet) and report.json."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluicegate.actions.ingest.faults import Faults
from sluicegate.actions.ingest.outcomes import OUTCOMES
from sluicegate.actions.ingest.raw import Column, RawFile, Rows, UnreadableFileError, named_once
from sluicegate.domain.spec import Data
from sluicegate.ports.landing import Arrival

OURS = ("row", "reason", "message", "line")
"""Columns of quarantined.parquet beside the file's own, which are renamed when they are called the same."""


@dataclass
class Checked:
    """What became of every row of a file."""

    arrival: Arrival
    accepted: pa.Table
    duplicates: pa.Table
    quarantined: pa.Table
    rows: dict[str, int]
    reasons: dict[str, int]
    critical: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    blocked: bool = False
    message: str = ""
    outcomes: pa.Table = field(default_factory=OUTCOMES.empty_table)
    """What our servers had said to the accepted requests."""

    def report(self) -> dict[str, Any]:
        """report.json."""
        return {
            "batch_id": self.arrival.batch_id,
            "name": self.arrival.name,
            "model": self.arrival.model,
            "arrived_at": self.arrival.arrived_at,
            "bytes": self.arrival.size,
            "kept": f"landed/{self.arrival.batch_id}",
            "rows": self.rows,
            "reasons": self.reasons,
            "critical": self.critical,
            "warnings": self.warnings,
            "blocked": self.blocked,
            "message": self.message,
            **_span(self.accepted),
        }


def accepted_schema(data: Data) -> pa.Schema:
    """Columns of accepted.parquet and of a snapshot's data.parquet."""
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "timestamp": pa.timestamp("us", "UTC")}
    inputs = {name: kinds.get(f.type, pa.string()) for name, f in data.inputs.items()}
    moment = pa.timestamp("us", "UTC")
    label = {"label": pa.float64(), "known_at": moment, "score": pa.float64(), "version": pa.string()}
    return pa.schema({"request_id": pa.string(), "event_time": moment, "user": pa.string(), **inputs, **label})


def unreadable(arrival: Arrival, error: UnreadableFileError, data: Data) -> Checked:
    """A file of which no row can be told: it is kept whole where it was taken to, and counts no rows."""
    nothing = accepted_schema(data).empty_table()
    found = {"code": str(error.code), "message": str(error), "kept": f"landed/{arrival.batch_id}"}
    empty = quarantined(RawFile({}, np.array([], dtype=np.int64), "line"), Faults(0))
    rows = dict.fromkeys(("in", "accepted", "quarantined", "duplicate"), 0)
    message = f"{arrival.name}: {error}"
    return Checked(arrival, nothing, nothing, empty, rows, {}, critical=[found], blocked=True, message=message)


def quarantined(raw: RawFile, faults: Faults) -> pa.Table:
    """Every row with a fault and every reject, in the order of the file: row, reason, message, the raw values as text."""
    bad, codes, sentences = faults.told(raw.rows, raw.unit)
    names, _ = named_once([f"{name}~raw" if name in OURS else name for name in raw.columns])
    columns = {name: _as_text(column, bad) for name, column in zip(names, raw.columns.values(), strict=True)}
    ours = {"row": pa.array(raw.rows[bad]), "reason": pa.array(codes, pa.string()), "message": pa.array(sentences, pa.string())}
    lines = {"line": pa.nulls(len(bad), pa.string())}
    rejects = {
        "row": pa.array([r.row for r in raw.rejects], pa.int64()),
        "reason": pa.array([str(r.code) for r in raw.rejects], pa.string()),
        "message": pa.array([r.message for r in raw.rejects], pa.string()),
        "line": pa.array([r.text for r in raw.rejects], pa.string()),
    }
    whole = pa.concat_tables([pa.table(ours | lines | columns), pa.table(rejects)], promote_options="default")
    return whole.sort_by("row")


def _as_text(column: Column, rows: Rows) -> pa.Array:
    taken = column.take(pa.array(rows)).combine_chunks()
    if pa.types.is_string(taken.type):
        return taken
    try:
        return taken.cast(pa.string())
    except (pa.ArrowException, NotImplementedError):
        return pa.array([None if v is None else str(v) for v in taken.to_pylist()], pa.string())


def write(checked: Checked, folder: Path) -> None:
    """Write the five files into an existing folder."""
    tables = {name: getattr(checked, name) for name in ("accepted", "duplicates", "quarantined", "outcomes")}
    for name, table in tables.items():
        repeated = [column for column in table.column_names if column not in ("request_id", "message")]
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", compression_level=1, use_dictionary=repeated)
    (folder / "report.json").write_text(json.dumps(checked.report(), indent=1))


def _span(accepted: pa.Table) -> dict[str, str | None]:
    if not accepted.num_rows:
        return {"first_event": None, "last_event": None, "known_until": None}
    events, known = pc.min_max(accepted["event_time"]).as_py(), pc.max(accepted["known_at"]).as_py()
    return {"first_event": _iso(events["min"]), "last_event": _iso(events["max"]), "known_until": _iso(known)}


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
