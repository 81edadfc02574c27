"""Every trained model, written as ONNX, scores as its own library does, missing values included."""

import numpy as np
import onnxruntime
import pytest

from sluicegate.adapters.estimators import DottedEstimators
from sluicegate.errors import SpecError

XGB = "xgboost.XGB"
CASES = [
    ("classification", f"{XGB}Classifier", {"n_estimators": 30}, True),
    ("classification", f"{XGB}Classifier", {"n_estimators": 1, "max_depth": 1}, True),
    ("classification", f"{XGB}Classifier", {"n_estimators": 5, "gamma": 1e9}, True),  # every tree is a single leaf
    ("classification", f"{XGB}Classifier", {"n_estimators": 8, "tree_method": "exact", "gamma": 5}, True),
    ("classification", f"{XGB}Classifier", {"n_estimators": 8, "num_parallel_tree": 3, "base_score": 0.2}, True),
    *(
        ("regression", f"{XGB}Regressor", {"n_estimators": 20, "objective": objective}, True)
        for objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:logistic")
    ),
    *(
        ("regression", f"{XGB}Regressor", {"n_estimators": 20, "objective": objective}, True)
        for objective in ("count:poisson", "reg:gamma", "reg:tweedie")
    ),
    ("classification", "sklearn.linear_model.LogisticRegression", {}, False),
    ("classification", "sklearn.ensemble.RandomForestClassifier", {"n_estimators": 9, "max_depth": 6}, False),
    ("classification", "sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 4, "max_leaf_nodes": 7}, True),
    ("regression", "sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 4, "max_leaf_nodes": 7}, True),
    ("regression", "sklearn.linear_model.Ridge", {}, False),
]


@pytest.mark.parametrize(("task", "dotted", "params", "holes"), CASES)
def test_the_onnx_form_scores_as_the_library_does(task: str, dotted: str, params: dict, holes: bool) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    y = (x[:, 0] + 0.5 * rng.normal(size=600) > 0) * 0.8 + 0.1
    y = np.round(y) if task == "classification" else y
    if holes:
        x[rng.random(x.shape) < 0.2] = np.nan
    model = DottedEstimators().make(dotted, params, task=task, seed=1).fit(x, y, list("abcd"))
    session = onnxruntime.InferenceSession(model.onnx(), providers=["CPUExecutionProvider"])
    (entry,), (out,) = session.get_inputs(), session.get_outputs()
    assert (entry.type, out.type, out.shape) == ("tensor(float)", "tensor(float)", [None])
    np.testing.assert_allclose(session.run(None, {entry.name: x})[0], model.scores(x), rtol=0, atol=2e-6)
    assert session.run(None, {entry.name: x[:1]})[0].shape == (1,)


def test_values_on_a_split_go_the_way_xgboost_sends_them() -> None:
    x = np.repeat(np.arange(8, dtype=np.float32), 20).reshape(-1, 1)
    y = (x[:, 0] >= 4).astype(np.float64)
    model = DottedEstimators().make("xgboost.XGBClassifier", {"n_estimators": 3}, task="classification", seed=1).fit(x, y, ["a"])
    session = onnxruntime.InferenceSession(model.onnx(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], model.scores(x), atol=1e-6)


def test_an_estimator_that_onnx_cannot_express_is_refused_by_name() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.float64)
    model = (
        DottedEstimators().make("sklearn.semi_supervised.LabelSpreading", {}, task="classification", seed=0).fit(x, y, ["a", "b"])
    )
    with pytest.raises(SpecError, match="LabelSpreading"):
        model.onnx()
