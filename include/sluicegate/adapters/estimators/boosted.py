"""XGBoost through its native interface: same parameters as its scikit-learn classes, without their cost.

One thread unless the spec says otherwise: two of XGBoost's threads on cores that also serve traffic wait for each other so
long that training takes five times the time of one. The trees are the same for any thread count.
"""

import difflib
import hashlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sluicegate.adapters.estimators.light_xgboost import xgboost
from sluicegate.adapters.estimators.trees_onnx import trees_to_onnx
from sluicegate.errors import SpecError
from sluicegate.ports.estimators import Device, Matrix, Native, Vector

CLASSES = {"xgboost.XGBClassifier": "classification", "xgboost.XGBRegressor": "regression"}
OBJECTIVES = {
    "classification": ("binary:logistic",),
    "regression": (
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:logistic",
        "count:poisson",
        "reg:gamma",
        "reg:tweedie",
    ),
}
REFUSED = {
    "random_state": "write training.seed instead",
    "seed": "write training.seed instead",
    "callbacks": "code belongs in features.py",
    "early_stopping_rounds": "it would choose the model on the holdout; set n_estimators",
    "enable_categorical": "features are numbers; encode categories in features.py",
    "feature_types": "features are numbers",
    "missing": "missing is NaN",
    "multi_strategy": "there is one target",
    "kwargs": "write the parameter itself",
}
RENAMED = {"n_jobs": "nthread"}


@dataclass(frozen=True)
class BoostedEstimator:
    """XGBoost with checked parameters."""

    params: Mapping[str, Any]
    device: Device

    @staticmethod
    def checked(dotted: str, params: Mapping[str, Any], *, task: str, seed: int) -> "BoostedEstimator":
        """See `DottedEstimators.make`."""
        if CLASSES.get(dotted) != task:
            raise SpecError(_wrong_class(dotted, task))
        for name in params:
            _check_name(dotted, name)
        full = {"objective": OBJECTIVES[task][0], "n_estimators": 100, "n_jobs": 1, **params, "random_state": seed}
        _check_values(full, task)
        return BoostedEstimator(full, _probe(full))

    def fit(self, x: Matrix, y: Vector, names: Sequence[str]) -> "BoostedModel":
        """Train; the same rows, parameters and seed give the same trees."""
        native = _native(self.params, names) | {"device": self.device.used}
        kind = xgboost.QuantileDMatrix if self.params.get("tree_method", "hist") in ("hist", "auto") else xgboost.DMatrix
        try:
            matrix = kind(x, y, nthread=native["nthread"])
            booster = xgboost.train(native, matrix, num_boost_round=self.params["n_estimators"])
        except xgboost.core.XGBoostError as e:
            raise SpecError(f"XGBoost cannot train on these rows: {_first_line(e)}") from e
        return BoostedModel(booster, self.device)


@dataclass(frozen=True)
class BoostedModel:
    """Trained XGBoost trees."""

    booster: Any
    device: Device

    def scores(self, x: Matrix) -> Vector:
        return np.asarray(self.booster.inplace_predict(x), dtype=np.float64)

    def learned_state(self) -> str:
        canonical = json.dumps(self._learner(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def onnx(self) -> bytes:
        return trees_to_onnx(self._learner())

    def native(self) -> Native:
        return Native("ubj", bytes(self.booster.save_raw("ubj")))

    def _learner(self) -> dict[str, Any]:
        learner: dict[str, Any] = json.loads(self.booster.save_raw("json"))["learner"]
        learner.pop("attributes", None)
        return learner


def _wrong_class(dotted: str, task: str) -> str:
    valid = ", ".join(f"{name} ({of})" for name, of in CLASSES.items())
    return f"training.estimator is '{dotted}', which is no XGBoost estimator for {task}; valid are {valid}"


def _check_name(dotted: str, name: str) -> None:
    if name in REFUSED:
        raise SpecError(f"training.params.{name} cannot be set: {REFUSED[name]}")
    known = [p for p in inspect.signature(xgboost.XGBModel.__init__).parameters if p != "self" and p not in REFUSED]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or known
        raise SpecError(f"training.params.{name} is no parameter of {dotted}; did you mean {', '.join(near)}?")


def _check_values(params: Mapping[str, Any], task: str) -> None:
    if params["objective"] not in OBJECTIVES[task]:
        valid = ", ".join(OBJECTIVES[task])
        raise SpecError(f"training.params.objective is '{params['objective']}'; for {task} valid are {valid}")
    if params.get("booster", "gbtree") != "gbtree":
        raise SpecError(f"training.params.booster is '{params['booster']}'; only gbtree can be packaged")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", str(params.get("device", "cpu"))):
        raise SpecError(f"training.params.device is '{params['device']}'; valid are cpu, cuda and cuda:<number>")
    for name in ("n_estimators", "n_jobs"):
        if not isinstance(params[name], int) or isinstance(params[name], bool) or params[name] < 1:
            raise SpecError(f"training.params.{name} is {params[name]!r}; write an integer of at least 1")


def _native(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    native = {RENAMED.get(k, k): v for k, v in params.items() if k not in ("n_estimators", "random_state")}
    constraints = native.get("monotone_constraints")
    if isinstance(constraints, Mapping):
        if unknown := sorted(set(constraints) - set(names)):
            raise SpecError(f"training.params.monotone_constraints names '{unknown[0]}', which features.py does not return")
        native["monotone_constraints"] = tuple(int(constraints.get(name, 0)) for name in names)
    return native | {"seed": params["random_state"], "verbosity": 0}


def _probe(params: Mapping[str, Any]) -> Device:
    """Train one tree on four rows: wrong values are refused here, and a device that is absent shows itself."""
    asked = str(params.get("device", "cpu"))
    by_position = ("monotone_constraints", "interaction_constraints", "feature_weights")
    trial = {k: v for k, v in params.items() if k not in by_position}
    built = bool(xgboost.build_info().get("USE_CUDA"))
    native = _native(trial, ()) | {"device": asked if built else "cpu"}
    try:
        matrix = xgboost.DMatrix(np.eye(4, 2, dtype=np.float32), [1.0, 0.5, 1.0, 0.5], nthread=1)
        booster = xgboost.train(native, matrix, num_boost_round=1)
    except (xgboost.core.XGBoostError, ValueError, TypeError) as e:
        raise SpecError(f"training.params hold a value that XGBoost refuses: {_first_line(e)}") from e
    used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    return Device(asked, used, _why(asked, used, built))


def _why(asked: str, used: str, built: bool) -> str:
    if asked.split(":")[0] == used.split(":")[0]:
        return ""
    cause = "no GPU is visible" if built else "this build of XGBoost has no CUDA"
    return f"asked to train on {asked}, trained on {used}: {cause}"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Stack trace" not in line]
    return lines[0].split("] ", 1)[-1].split(": ", 1)[-1] if lines else repr(error)
