"""Bytes → raw rows. The format is told by the content, never by the name; a file that is no table is refused whole."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.actions.ingest.delimited import read_csv
from sluicegate.actions.ingest.encoding import to_utf8
from sluicegate.actions.ingest.jsonl import read_jsonl
from sluicegate.actions.ingest.raw import Code, RawFile, UnreadableFileError, named_once

PARQUET = b"PAR1"
BINARY = {
    b"PK\x03\x04": "a zip archive or an Excel sheet",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet",
    b"%PDF": "a PDF document",
}


def read_file(path: Path, batch_id: str) -> RawFile:
    """Read a landed file: parquet, csv, or one JSON object a line.

    Raises
    ------
    UnreadableFileError
        The file is empty, broken, of another format, or not the file that was taken.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest()[:32] != batch_id:
        raise UnreadableFileError(
            Code.CHANGED_FILE, f"the file's bytes are no longer those that were taken as {batch_id}: land it again"
        )
    if not data.strip():
        raise UnreadableFileError(Code.EMPTY_FILE, f"the file has {len(data)} bytes and no content: land it again with its rows")
    if data[:4] == PARQUET:
        return _read_parquet(data)
    return _read_text(data)


def _read_parquet(data: bytes) -> RawFile:
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as e:
        reason = " ".join(str(e).split())[:200]
        raise UnreadableFileError(
            Code.UNREADABLE_FILE, f"the parquet file of {len(data)} bytes cannot be read ({reason}): write and land it again"
        ) from e
    names, repeated = named_once([str(name) for name in table.column_names])
    columns = dict(zip(names, table.columns, strict=True))
    return RawFile(columns, np.arange(1, table.num_rows + 1), "row", repeated=repeated)


def _read_text(data: bytes) -> RawFile:
    for magic, what in BINARY.items():
        if data.startswith(magic):
            raise UnreadableFileError(Code.UNREADABLE_FILE, f"the file is {what}: land it as csv, JSON lines or parquet")
    text, warnings = to_utf8(data)
    first = text.lstrip()[:1]
    return read_jsonl(text, warnings) if first == b"{" else read_csv(text, warnings)
