"""Raw columns → typed values, with the rows that could not be understood. Nothing raises for what stands in a row."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.actions.ingest.raw import Column, Mask

NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$|^[-+]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
TIME = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$"
UTC = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Typed:
    """A column after parsing."""

    values: pa.Array
    """Null where the value is missing or wrong."""
    missing: Mask
    """Nothing was written there."""
    wrong: Mask
    """Something is written that is not of the type."""


def typed(column: Column, kind: str) -> Typed:
    """Parse a column of any Arrow type.

    Parameters
    ----------
    kind : str
        `number` and `integer` (float64; text is parsed, NaN and infinity are kept), `string`, `boolean`, or `timestamp` (UTC,
        microseconds; a time without a zone is read as UTC).
    """
    missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _is_text(column.type):
        values = _texts(column.cast(pa.string())) if kind == "string" else _through_distinct(column, _FROM_TEXT[kind])
        missing = missing | pc.fill_null(pc.equal(column, ""), False).to_numpy(zero_copy_only=False)
    else:
        values = _FROM_TYPED[kind](column)
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return Typed(values, missing, pc.is_null(values).to_numpy(zero_copy_only=False) & ~missing)


def arrow_type(kind: str) -> pa.DataType:
    """What `typed` makes of a field of this kind."""
    return {"number": pa.float64(), "integer": pa.float64(), "boolean": pa.bool_(), "timestamp": UTC}.get(kind, pa.string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _through_distinct(column: Column, parse: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Parse every distinct text once."""
    encoded = pa.chunked_array(column).cast(pa.string()).combine_chunks().dictionary_encode()
    return parse(encoded.dictionary).take(encoded.indices)


def _texts(texts: Column) -> Column:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _numbers(texts: pa.Array) -> pa.Array:
    plain = pc.utf8_trim_whitespace(texts)
    plain = pc.if_else(pc.match_substring_regex(plain, NUMBER), pc.utf8_ltrim(plain, "+"), pa.scalar(None, pa.string()))
    try:
        return plain.cast(pa.float64())
    except pa.ArrowInvalid:
        return pa.array([None if t is None else float(t) for t in plain.to_pylist()], pa.float64())


def _times(texts: pa.Array) -> pa.Array:
    plain = pc.utf8_trim_whitespace(texts)
    plain = pc.if_else(pc.match_substring_regex(plain, TIME), plain, pa.scalar(None, pa.string()))
    try:
        return plain.cast(UTC)
    except pa.ArrowInvalid:  # a thirteenth month, or a time without a zone
        read = pd.to_datetime(pd.Series(plain.to_pylist(), dtype="object"), format="ISO8601", utc=True, errors="coerce")
        return pc.assume_timezone(pa.array(read.dt.tz_convert(None).to_numpy(), pa.timestamp("us"), from_pandas=True), "UTC")


def _booleans(texts: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    known = pc.is_in(lower, pa.array(["true", "false", "1", "0"]))
    return pc.if_else(known, pc.is_in(lower, pa.array(["true", "1"])), pa.scalar(None, pa.bool_()))


def _numbers_typed(column: Column) -> Column:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    return _nothing(column, pa.float64())


def _times_typed(column: Column) -> Column:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        plain = column.cast(pa.timestamp("us", column.type.tz if pa.types.is_timestamp(column.type) else None), safe=False)
        return plain.cast(UTC) if plain.type.tz is not None else pc.assume_timezone(plain, "UTC")
    return _nothing(column, UTC)


def _texts_typed(column: Column) -> Column:
    return column.cast(pa.string()) if pa.types.is_integer(column.type) else _nothing(column, pa.string())


def _booleans_typed(column: Column) -> Column:
    return column if pa.types.is_boolean(column.type) else _nothing(column, pa.bool_())


def _nothing(column: Column, kind: pa.DataType) -> pa.Array:
    return pa.nulls(len(column), kind)


_FROM_TEXT: dict[str, Callable[[pa.Array], pa.Array]] = {
    "number": _numbers,
    "integer": _numbers,
    "boolean": _booleans,
    "timestamp": _times,
}
_FROM_TYPED: dict[str, Callable[[Column], Column]] = {
    "number": _numbers_typed,
    "integer": _numbers_typed,
    "string": _texts_typed,
    "boolean": _booleans_typed,
    "timestamp": _times_typed,
}


def seconds(moments: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """UTC timestamps as seconds since the epoch; NaN where there is none."""
    whole = pc.cast(moments, pa.int64())
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.float64) / 1e6
