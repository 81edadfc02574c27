"""features.py, called row by row by the same code as in serving, and its answers as one matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sluicegate.errors import SpecError
from sluicegate.ports.estimators import Matrix
from sluicegate.serving.features import Features, load_function


def feature_matrix(
    source: bytes, path: Path, rows: Sequence[Mapping[str, Any]], request_id: str
) -> tuple[tuple[str, ...], Matrix]:
    """Names and values (rows, features) of what features.py returns, in the order of the first row's keys.

    Parameters
    ----------
    source
        Bytes of features.py; it is loaded afresh, so that state from elsewhere does not colour the features.
    rows
        Raw rows in order of time.
    request_id
        Field that names a row in messages.

    Raises
    ------
    SpecError
        features.py fails, returns nothing, other keys for another row, no number, or infinity; names the row and the feature.
    """
    names = _names(source, path, rows[0])
    pack = Features(source, path, names, request_id).pack
    flat = np.frombuffer(b"".join(map(pack, rows)), dtype=np.float32)
    return names, flat.reshape(len(rows), len(names))


def _names(source: bytes, path: Path, row: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        found = load_function(source, path)(row)
    except SpecError:
        raise
    except Exception as e:
        raise SpecError(f"features.py fails on the first row {dict(row)}: {type(e).__name__}: {e}") from e
    if not isinstance(found, Mapping) or not found:
        raise SpecError(f"features.py returns {found!r} for the first row: return a dict with at least one number")
    return tuple(found)
