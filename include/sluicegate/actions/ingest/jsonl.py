"""One JSON object a line → raw rows; a line that is no object becomes a reject."""

import numpy as np
import orjson
import pyarrow as pa

from sluicegate.actions.ingest.encoding import REMEDY, is_utf8, visible
from sluicegate.actions.ingest.raw import Code, RawFile, Reject


def read_jsonl(data: bytes, warnings: tuple[str, ...] = ()) -> RawFile:
    """Read JSON lines; columns are typed when all their values are, otherwise they hold the values as text."""
    objects, places, rejects = [], [], []
    for place, line in enumerate(data.splitlines(), 1):
        if line.strip():
            found = _object(line)
            if isinstance(found, dict):
                objects.append(found)
                places.append(place)
            else:
                rejects.append(_reject(place, line))
    names = list(dict.fromkeys(name for one in objects for name in one))
    columns = {name: _column([one.get(name) for one in objects]) for name in names}
    return RawFile(columns, np.array(places, dtype=np.int64), "line", tuple(rejects), warnings)


def _object(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _reject(place: int, line: bytes) -> Reject:
    text = visible(line)
    code, why = (
        (Code.MALFORMED_ROW, "is no JSON object: write one object a line")
        if is_utf8(line)
        else (Code.ENCODING, f"is no UTF-8: {REMEDY}")
    )
    return Reject(place, text, code, f"line {place} ({text[:80]!r}) {why}")


def _column(values: list[object]) -> pa.ChunkedArray:
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        array = pa.array([None if v is None else v if isinstance(v, str) else orjson.dumps(v).decode() for v in values])
    return pa.chunked_array([array])
