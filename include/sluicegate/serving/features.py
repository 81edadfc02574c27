"""A user's features.py: loaded under a name of its own, called row by row, its answers checked."""

import importlib.abc
import importlib.util
import itertools
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from math import inf
from operator import itemgetter
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sluicegate.errors import SpecError

Row = Mapping[str, Any]
Function = Callable[[Row], Mapping[str, float]]
Value = Callable[[Row, bool], float]
"""Business value of one answer, in the user's own unit: what deciding so on this row is worth."""
_numbers = itertools.count()


class Features:
    """One fresh load of a features.py: its module state begins empty and belongs to this object alone.

    Parameters
    ----------
    source : bytes of features.py.
    path : where it came from, for tracebacks.
    names : the features of the model, in the order of its columns.
    request_id : field that names a row in messages.
    """

    def __init__(self, source: bytes, path: Path, names: Sequence[str], request_id: str = "request_id") -> None:
        module = _loaded(source, path)
        self._function: Function = module.features
        self._worth: Value | None = getattr(module, "value", None)
        self._names = tuple(names)
        self._take = _taker(self._names)
        self._request_id = request_id
        self._pack = struct.Struct(f"<{len(self._names)}f").pack

    def pack(self, row: Row) -> bytes:
        """The features of a row as float32 numbers, one after the other.

        Raises
        ------
        SpecError
            features.py raised, or returned other keys than the model knows, no number, or infinity; names row and feature.
        """
        try:
            values = self._function(dict(row))  # its own copy: what it does to the row stays with it
        except Exception as e:
            raise SpecError(f"features.py fails on row {self._row(row)}: {type(e).__name__}: {e}") from e
        try:
            numbers = self._take(values)
            total = sum(numbers)  # finite in the common case: then no number is infinite
            if len(values) == len(numbers) and (total - total == 0.0 or (inf not in numbers and -inf not in numbers)):
                return self._pack(*numbers)
        except (KeyError, TypeError, struct.error, OverflowError, ValueError):
            pass
        raise SpecError(self._fault(row, values))

    @property
    def has_value(self) -> bool:
        """Whether features.py tells what an answer is worth."""
        return self._worth is not None

    def value(self, row: Row, decision: bool) -> float:
        """What the optional value(row, decision) of features.py says; SpecError when it raises or gives no finite number."""
        assert self._worth is not None  # ask has_value first
        try:
            value = float(self._worth(dict(row), decision))  # its own copy, as for the features
        except Exception as e:
            raise SpecError(f"features.py has no value for row {self._row(row)}: {type(e).__name__}: {e}") from e
        if value - value != 0.0:
            raise SpecError(f"features.py returns {value} as the value of row {self._row(row)}: return a finite number")
        return value

    def _fault(self, row: Row, values: Any) -> str:
        """What is wrong with what features.py returned."""
        where = f"for row {self._row(row)}"
        if not isinstance(values, Mapping):
            return f"features.py returns {type(values).__name__} {where}, not a dict of numbers"
        absent = [name for name in self._names if name not in values]
        unknown = [name for name in values if name not in self._names]
        if absent or unknown:
            return f"features.py returns other features than the model knows {where}: missing {absent}, unknown {unknown}"
        for name in self._names:
            if not _packable(values[name]):
                return f"features.py returns {values[name]!r} as feature '{name}' {where}: return a finite number or float('nan')"
        return f"features.py returns something unusable {where}: return a dict of numbers"

    def _row(self, row: Row) -> str:
        return repr(row.get(self._request_id, dict(row)))


def _taker(names: Sequence[str]) -> Callable[[Mapping[str, float]], tuple[float, ...]]:
    """Takes the values of these names out of a mapping, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


def load_function(source: bytes, path: Path) -> Function:
    """The function `features` of a fresh module made of `source`; SpecError when there is none."""
    return _loaded(source, path).features  # type: ignore[no-any-return]


def _loaded(source: bytes, path: Path) -> ModuleType:
    """A fresh module made of `source`; SpecError when it cannot be executed or has no function `features`."""
    name = f"sluicegate_features_{next(_numbers)}"
    spec = importlib.util.spec_from_loader(name, _Source(source, path), origin=str(path))
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look their module up
    try:
        _Source(source, path).exec_module(module)
    except Exception as e:
        del sys.modules[name]
        raise SpecError(f"{path}: cannot be executed: {type(e).__name__}: {e}") from e
    if not callable(getattr(module, "features", None)):
        del sys.modules[name]
        raise SpecError(f"{path}: has no function features(row): write one that returns a dict of numbers")
    value = getattr(module, "value", None)
    if value is not None and not callable(value):
        del sys.modules[name]
        raise SpecError(f"{path}: 'value' is no function: write value(row, decision) that returns a number, or rename it")
    return module


class _Source(importlib.abc.InspectLoader):
    """Executes the bytes it was given and writes no cache beside them: a package folder stays as it was written."""

    def __init__(self, source: bytes, path: Path) -> None:
        self._source, self._path = source, path

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        super().exec_module(module)


def _packable(value: Any) -> bool:
    try:
        struct.pack("<f", value)
    except (struct.error, OverflowError, TypeError, ValueError):
        return False
    return value not in (inf, -inf)
