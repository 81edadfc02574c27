"""Any estimator with scikit-learn's interface, by its dotted class name.

A parameter may itself be an estimator, written as {estimator: dotted.Class, params: {...}}. So a pipeline with a scaler is:

    estimator: sklearn.pipeline.Pipeline
    params:
      steps:
        - [scale, {estimator: sklearn.preprocessing.StandardScaler}]
        - [model, {estimator: sklearn.linear_model.LogisticRegression, params: {C: 0.5}}]
"""

import difflib
import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import InvalidParameterError

from sluicegate.adapters.estimators.classical_onnx import classical_to_onnx
from sluicegate.adapters.estimators.learned_state import learned_state
from sluicegate.errors import SpecError
from sluicegate.ports.estimators import Device, Matrix, Native, Vector


@dataclass(frozen=True)
class ClassicalEstimator:
    """A scikit-learn estimator with checked parameters, not yet fitted."""

    dotted: str
    params: Mapping[str, Any]
    task: str
    seed: int

    @staticmethod
    def checked(dotted: str, params: Mapping[str, Any], *, task: str, seed: int) -> "ClassicalEstimator":
        """See `DottedEstimators.make`."""
        model = _seeded(_build(dotted, params), seed)
        fits = is_classifier(model) if task == "classification" else is_regressor(model)
        if not fits:
            raise SpecError(f"training.estimator is '{dotted}', which is no estimator for {task}: choose one that is")
        if task == "classification" and not hasattr(model, "predict_proba"):
            raise SpecError(
                f"training.estimator is '{dotted}' with these params, which has no predict_proba: a score is a probability"
            )
        return ClassicalEstimator(dotted, {**params, "random_state": seed}, task, seed)

    def fit(self, x: Matrix, y: Vector, names: Sequence[str]) -> "ClassicalModel":
        """Train; SpecError when the library refuses the data (for example NaN in a linear model)."""
        params = {k: v for k, v in self.params.items() if k != "random_state"}
        model = _seeded(_build(self.dotted, params), self.seed)
        target = y.astype(np.int64) if self.task == "classification" else y
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(x, target)
        except ValueError as e:
            raise SpecError(
                f"'{self.dotted}' cannot train on these features: {str(e).splitlines()[0]}{_missing(x, names)}"
            ) from e
        return ClassicalModel(model, self.task, x.shape[1])


@dataclass(frozen=True)
class ClassicalModel:
    """A fitted scikit-learn estimator."""

    model: Any
    task: str
    width: int

    @property
    def device(self) -> Device:
        return Device("cpu", "cpu")

    def scores(self, x: Matrix) -> Vector:
        raw = self.model.predict_proba(x)[:, 1] if self.task == "classification" else self.model.predict(x)
        return np.asarray(raw, dtype=np.float64).reshape(-1)

    def learned_state(self) -> str:
        return learned_state(self.model)

    def onnx(self) -> bytes:
        return classical_to_onnx(self.model, self.task, self.width)

    def native(self) -> Native | None:
        return None  # scikit-learn's own form is a pickle, which nobody opens


def _build(dotted: str, params: Mapping[str, Any]) -> Any:
    cls = _import(dotted)
    known = sorted(cls._get_param_names())
    for name in params:
        if name == "random_state":
            raise SpecError(f"training.params.random_state of '{dotted}' cannot be set: write training.seed instead")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or known
            raise SpecError(f"training.params.{name} is no parameter of '{dotted}'; did you mean {', '.join(near)}?")
    model = cls(**{name: _inner(value) for name, value in params.items()})
    try:
        model._validate_params()
    except InvalidParameterError as e:
        raise SpecError(f"training.params of '{dotted}': {e}") from e
    return model


def _import(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as e:
        raise SpecError(f"training.estimator is '{dotted}', which cannot be imported: {e}; write module.Class") from e
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise SpecError(f"training.estimator is '{dotted}', which is no estimator class: it lacks scikit-learn's interface")
    return found


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping) and "estimator" in value and set(value) <= {"estimator", "params"}:
        return _build(str(value["estimator"]), value.get("params", {}))
    if isinstance(value, list):
        return [_inner(v) for v in value]
    return value


def _seeded(model: Any, seed: int) -> Any:
    names = [n for n in model.get_params(deep=True) if n.split("__")[-1] == "random_state"]
    return model.set_params(**dict.fromkeys(names, seed))


def _missing(x: Matrix, names: Sequence[str]) -> str:
    holes = [name for name, column in zip(names, x.T, strict=True) if np.isnan(column).any()]
    return f" (features with missing values: {', '.join(holes)}; fill them in features.py or impute)" if holes else ""
