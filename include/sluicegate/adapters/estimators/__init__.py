"""Estimator libraries behind one small interface: XGBoost first, and whatever scikit-learn's interface fits. Nothing is pickled.

`boosted` trains XGBoost through its native interface, `classical` any scikit-learn estimator, nested ones included;
`trees_onnx` and `classical_onnx` write the one ONNX shape that a package holds: float32 [rows, features] in, float32 [rows] out.
"""

from collections.abc import Mapping
from typing import Any

from sluicegate.ports.estimators import Estimator


class DottedEstimators:
    """Makes estimators from dotted class names; the library is imported when its first estimator is made."""

    def make(self, dotted: str, params: Mapping[str, Any], *, task: str, seed: int) -> Estimator:
        """The estimator of a dotted class name, its parameters checked.

        Raises
        ------
        SpecError
            The class cannot be imported, is no estimator of this task, or a parameter is unknown or of the wrong kind.
        """
        if dotted.startswith("xgboost."):
            from sluicegate.adapters.estimators.boosted import BoostedEstimator

            return BoostedEstimator.checked(dotted, params, task=task, seed=seed)
        from sluicegate.adapters.estimators.classical import ClassicalEstimator

        return ClassicalEstimator.checked(dotted, params, task=task, seed=seed)
