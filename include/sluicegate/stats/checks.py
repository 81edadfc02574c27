"""What every test asks of its inputs: right shape, no NaN, both classes, more than one cluster."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sluicegate.errors import InputError

Vector = NDArray[np.float64]
Labels = NDArray[np.bool_]
Codes = NDArray[np.intp]


def vector(name: str, values: ArrayLike, *, finite: bool = True, least: int = 1) -> Vector:
    """One-dimensional float64 copy-free view of `values`; NaN (and infinity, unless `finite` is False) is refused by name."""
    array = _one_dimensional(name, values, least)
    try:
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` has values of type {array.dtype} that are not numbers: pass numbers.") from error
    bad = ~np.isfinite(array) if finite else np.isnan(array)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        kind = "NaN" if np.isnan(array[first]) else "infinite"
        raise InputError(
            f"`{name}` holds {int(bad.sum())} values that are not finite, the first ({kind}) at index {first}: "
            "drop these rows for both models or mend their source."
        )
    return array


def counts(name: str, values: ArrayLike) -> Vector:
    """Vector of numbers >= 0."""
    array = vector(name, values)
    if (array < 0).any():
        raise InputError(f"`{name}` holds {array.min():g}: a count is 0 or more.")
    return array


def binary(name: str, values: ArrayLike, *, both: bool = False) -> Labels:
    """Boolean vector from 0/1 (or False/True); with `both`, at least one of each class."""
    array = np.asarray(values)
    if array.dtype != np.bool_ or array.ndim != 1:
        array = vector(name, values)
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise InputError(f"`{name}` holds {array[first]:g} at index {first}: it must hold 0 and 1 only.")
        array = array == 1
    if both and (array.all() or not array.any()):
        present = int(array[0]) if array.size else "nothing"
        raise InputError(f"`{name}` holds only {present} in {array.size} rows: a comparison needs both classes.")
    return array


def probabilities(name: str, values: ArrayLike) -> Vector:
    """Vector of numbers in [0, 1]."""
    array = vector(name, values)
    if array.size and (array.min() < 0 or array.max() > 1):
        raise InputError(f"`{name}` ranges over [{array.min():g}, {array.max():g}]: probabilities lie in [0, 1].")
    return array


def cluster_codes(clusters: ArrayLike, rows: int, *, name: str = "clusters") -> tuple[Codes, int]:
    """Codes 0 .. k-1 of the cluster of each row, and k; one cluster alone is refused because it has no variance."""
    array = _one_dimensional(name, clusters, 1)
    same_length(rows, **{name: array})
    codes, k = _factorize(name, array)
    if k < 2:
        raise InputError(f"`{name}` holds one cluster only: its variance cannot be estimated, at least two are needed.")
    return codes, k


def sums(codes: Codes, values: Vector, k: int) -> Vector:
    """Sum of the values of each code 0 .. k-1."""
    totals: Vector = np.bincount(codes, values, k).astype(np.float64, copy=False)
    return totals


def same_length(rows: int, **arrays: NDArray[Any]) -> None:
    """Refuse arrays whose length is not `rows`."""
    for name, array in arrays.items():
        if array.shape[0] != rows:
            raise InputError(f"`{name}` has {array.shape[0]} rows where {rows} are expected: pass arrays of one length.")


def fraction(name: str, value: float) -> float:
    """A number strictly between 0 and 1."""
    if not 0 < value < 1:
        raise InputError(f"`{name}` is {value}: it must lie strictly between 0 and 1.")
    return float(value)


def number(name: str, value: float, *, least: float | None = None, above: float | None = None) -> float:
    """A finite number, optionally >= `least` or > `above`."""
    value = float(value)
    if not np.isfinite(value):
        raise InputError(f"`{name}` is {value}: it must be a finite number.")
    if least is not None and value < least:
        raise InputError(f"`{name}` is {value:g}: it must be at least {least:g}.")
    if above is not None and value <= above:
        raise InputError(f"`{name}` is {value:g}: it must be greater than {above:g}.")
    return value


def whole(name: str, value: float, *, least: int = 0) -> int:
    """A whole number >= `least`."""
    value = number(name, value, least=least)
    if value != int(value):
        raise InputError(f"`{name}` is {value:g}: it must be a whole number.")
    return int(value)


def _one_dimensional(name: str, values: ArrayLike, least: int) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"`{name}` has {array.ndim} dimensions (shape {array.shape}): it must have one.")
    if array.shape[0] < least:
        raise InputError(f"`{name}` has {array.shape[0]} rows: at least {least} needed.")
    return array


def _factorize(name: str, array: NDArray[Any]) -> tuple[Codes, int]:
    if array.dtype.kind in "iub":
        low, high = int(array.min()), int(array.max())
        if high - low < 4 * array.size + 1024:
            offset = array.astype(np.intp) if array.dtype.kind == "b" else (array - array.min()).astype(np.intp)
            present = np.bincount(offset) > 0
            renumber = np.cumsum(present) - 1
            return renumber[offset].astype(np.intp), int(present.sum())
    import pandas as pd

    codes, labels = pd.factorize(array)
    if (codes < 0).any():
        first = int(np.flatnonzero(codes < 0)[0])
        raise InputError(f"`{name}` is missing (NaN or None) at index {first}: every row must belong to a cluster.")
    return codes.astype(np.intp, copy=False), len(labels)
