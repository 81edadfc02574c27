"""Learning algorithms: made from a dotted name, fitted once, exported without pickle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # numpy costs a quarter of a second, and who only starts orders needs none of it
    import numpy as np
    from numpy.typing import NDArray

Matrix: TypeAlias = "NDArray[np.float32]"
Vector: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True)
class Device:
    """Where the training ran, and why not where it was asked to."""

    asked: str
    used: str
    message: str = ""
    """Why `used` is not `asked`; empty when it is."""


@dataclass(frozen=True)
class Native:
    """The model in its library's own pickle-free format."""

    suffix: str
    """File suffix without dot, e.g. "ubj"."""
    content: bytes


class Fitted(Protocol):
    """A trained model. Scores are the positive class's probability, or the predicted number of a regression."""

    @property
    def device(self) -> Device: ...

    def scores(self, x: Matrix) -> Vector:
        """Score of each row of x (rows, features), by the library itself."""
        ...

    def learned_state(self) -> str:
        """SHA-256 (64 hex digits) of what was learned: independent of archive, time, thread count and library banner."""
        ...

    def onnx(self) -> bytes:
        """ONNX model: one float32 input [rows, features], one float32 output [rows]."""
        ...

    def native(self) -> Native | None:
        """The library's own pickle-free form, or None when it has none."""
        ...


class Estimator(Protocol):
    """An algorithm with checked parameters."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters it will train with, seed and thread count included."""
        ...

    def fit(self, x: Matrix, y: Vector, names: Sequence[str]) -> Fitted:
        """Train on x (rows, features) and y (rows,); SpecError when the algorithm cannot take this data."""
        ...


class Estimators(Protocol):
    def make(self, dotted: str, params: Mapping[str, Any], *, task: str, seed: int) -> Estimator:
        """The estimator of a dotted class name such as xgboost.XGBClassifier.

        Raises
        ------
        SpecError
            The class cannot be imported, is no estimator of this task, or a parameter is unknown or of the wrong kind.
        """
        ...
