"""Whether the packaged model says what the library that trained it says."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.errors import PackageError

Vector = NDArray[np.float64]
TOLERANCE = 1e-4
"""Largest harmless difference, in shares of the spread of the scores (1 for probabilities): ONNX computes in float32."""
EXCEPTIONS = 1e-3
"""Share of rows that may differ by more: a value within float32's rounding of a split goes the other way."""


@dataclass(frozen=True)
class Agreement:
    rows: int
    largest: float
    mean: float
    tolerance: float
    """In units of the score."""
    share_beyond: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def agreement(native: Vector, packaged: Vector, task: str) -> Agreement:
    """Compare the library's scores with the package's on the same rows.

    Raises
    ------
    PackageError
        More than one row in a thousand differs by more than the tolerance: the export is wrong, or features.py keeps state and
        gives other numbers the second time.
    """
    spread = 1.0 if task == "classification" else float(np.ptp(native)) or 1.0
    difference = np.abs(native - packaged)
    tolerance = TOLERANCE * spread
    beyond = float((~(difference <= tolerance)).mean())
    if beyond > EXCEPTIONS:
        worst = int(np.nanargmax(difference))
        raise PackageError(
            f"the packaged model differs from the trained one by more than {tolerance:.3g} on {beyond:.2%} of {native.size} "
            f"rows (row {worst}: {packaged[worst]:.6g} instead of {native[worst]:.6g}): "
            "the export is wrong, or features.py keeps state"
        )
    return Agreement(native.size, float(difference.max()), float(difference.mean()), tolerance, beyond)
