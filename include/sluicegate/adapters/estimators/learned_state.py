"""Hash of what a scikit-learn estimator learned: its arrays and numbers, not the bytes of an archive."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

IGNORED = {"n_jobs", "verbose", "_sklearn_version", "random_state", "_random_state", "_rng", "_feature_subsample_rng"}
"""Attributes that change neither scores nor what was learned."""
DEEPEST = 40


def learned_state(model: Any) -> str:
    """SHA-256 (64 hex digits) over the canonical walk of a fitted estimator's state."""
    digest = hashlib.sha256()
    for piece in _walk(model, 0):
        digest.update(piece)
        digest.update(b"\0")
    return digest.hexdigest()


def _walk(value: Any, depth: int) -> Iterator[bytes]:
    if depth > DEEPEST:
        raise RecursionError(f"the fitted state is nested deeper than {DEEPEST} levels at {type(value).__name__}")
    if isinstance(value, np.ndarray):
        yield from _array(value, depth)
    elif value is None or isinstance(value, str | bytes | bool | int | float | complex | np.generic):
        plain = value.item() if isinstance(value, np.generic) else value
        yield f"{type(plain).__name__}:{plain!r}".encode()
    elif isinstance(value, Mapping):
        yield from _mapping(value, depth)
    elif isinstance(value, list | tuple | set | frozenset):
        yield f"{len(value)}[".encode()
        for item in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            yield from _walk(item, depth + 1)
    else:
        yield from _object(value, depth)


def _array(value: np.ndarray[Any, Any], depth: int) -> Iterator[bytes]:
    yield f"array{value.shape}{value.dtype.str}".encode()
    if value.dtype.names:  # field by field: the padding between fields is whatever memory held
        for name in value.dtype.names:
            yield name.encode()
            yield np.ascontiguousarray(value[name]).tobytes()
    elif value.dtype.hasobject:
        yield from _walk(value.tolist(), depth + 1)
    else:
        yield np.ascontiguousarray(value).tobytes()


def _mapping(value: Mapping[Any, Any], depth: int) -> Iterator[bytes]:
    for key in sorted(value, key=repr):
        if key not in IGNORED:
            yield repr(key).encode()
            yield from _walk(value[key], depth + 1)


def _object(value: Any, depth: int) -> Iterator[bytes]:
    kind = value if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")) else type(value)
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if kind is not value and not isinstance(value, np.random.RandomState | np.random.Generator):
        yield from _walk(_state(value), depth + 1)


def _state(value: Any) -> Any:
    if isinstance(getattr(value, "__dict__", None), dict):
        return vars(value)
    try:
        return value.__getstate__()
    except TypeError:  # compiled objects without state, such as loss functions
        return None
