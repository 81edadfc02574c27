"""Rows whose request already has a label: in the same batch, or in a batch committed before.

Which of several rows of one request counts is not decided here, by who came first, but in the snapshot, by content. So only rows
that repeat another word for word are left out; the others are kept beside the accepted ones.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sluicegate.actions.ingest.raw import Mask
from sluicegate.ports import Dataset

Codes: TypeAlias = NDArray[np.int32]


def request_codes(table: pa.Table) -> Codes:
    """A number for each request: equal where the request id is."""
    codes: Codes = table["request_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return codes


def repeated_rows(table: pa.Table, codes: Codes) -> Mask:
    """Rows that say again what an earlier row of the table said: same request, same label, known at the same time."""
    if not pd.Series(codes).duplicated().any():
        return np.zeros(table.num_rows, dtype=bool)
    facts = pd.DataFrame(
        {"id": codes, "label": table["label"].to_numpy(), "known": table["known_at"].cast(pa.int64()).to_numpy()}
    )
    return np.asarray(facts.duplicated(), dtype=bool)


def labelled_before(table: pa.Table, codes: Codes, dataset: Dataset, model: str) -> Mask:
    """Rows whose request has a label in an earlier row of the table or in a committed batch."""
    seen = np.array(pd.Series(codes).duplicated(), dtype=bool)
    ids = table["request_id"].combine_chunks()
    for folder in _overlapping(table, dataset, model):
        known = pq.read_table(folder / "accepted.parquet", columns=["request_id"])["request_id"]
        seen |= pc.is_in(ids, value_set=known.combine_chunks()).to_numpy(zero_copy_only=False)
    return seen


def _overlapping(table: pa.Table, dataset: Dataset, model: str) -> Iterable[Path]:
    """Committed batches with events in the time of these rows: a request has one event time, so others cannot hold it."""
    if not table.num_rows:
        return
    ends = pc.min_max(table["event_time"]).as_py()
    for report in dataset.batches(model):
        if _accepted(report) and _time(report["first_event"]) <= ends["max"] and _time(report["last_event"]) >= ends["min"]:
            yield dataset.batch(model, str(report["batch_id"]))


def _accepted(report: Mapping[str, Any]) -> bool:
    return bool(report["rows"]["accepted"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
