"""Rows that share a value: how the values of a field become slices."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.actions.holdout.chart import number

MOST_VALUES = 8
"""Values of a field that get a slice of their own, by rows; the rest share one."""
MISSING = "(missing)"
Mask = NDArray[np.bool_]


def groups(values: Sequence[Any]) -> Iterator[tuple[str, Mask]]:
    """Names and masks of a field's slices: quarters of a number with many values, otherwise its commonest values."""
    column = pa.array(values)
    if _is_number(column) and pc.count_distinct(column).as_py() > MOST_VALUES:
        yield from _quarters(np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64))
        return
    names, codes = _named(column)
    counts = np.bincount(codes, minlength=len(names))
    ranked = sorted(range(len(names)), key=lambda code: (-counts[code], names[code]))
    for code in ranked[:MOST_VALUES]:
        yield names[code], codes == code
    if len(ranked) > MOST_VALUES:
        yield f"({len(ranked) - MOST_VALUES} others)", np.isin(codes, ranked[MOST_VALUES:])


def rows_with(values: Sequence[Any], text: str) -> Mask:
    """Rows whose value is written so; 30 is also written 30.0, and true is also written True."""
    names, codes = _named(pa.array(values))
    same = [code for code, name in enumerate(names) if text in (name, name.lower(), name.removesuffix(".0"))]
    return np.isin(codes, same)


def _is_number(column: pa.Array) -> bool:
    return bool(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))


def _named(column: pa.Array) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct values as text, and which of them each row has."""
    if pa.types.is_null(column.type):
        return [MISSING], np.zeros(len(column), dtype=np.intp)
    encoded = column.dictionary_encode()
    names = [str(v) for v in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False).astype(np.intp)
    return (names if column.null_count == 0 else [*names, MISSING]), codes


def _quarters(numbers: NDArray[np.float64]) -> Iterator[tuple[str, Mask]]:
    edges = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    for place, (low, high) in enumerate(pairwise(edges)):
        last = place == edges.size - 2
        mask = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        yield f"{number(low)} to {number(high)}", mask
    if np.isnan(numbers).any():
        yield MISSING, np.isnan(numbers)
