"""Estimators by dotted name: what is refused, what is learned, and that the same rows teach the same thing."""

import numpy as np
import pytest

from sluicegate.adapters.estimators import DottedEstimators
from sluicegate.errors import SpecError
from sluicegate.ports.estimators import Matrix, Vector

XGB, LOGISTIC = "xgboost.XGBClassifier", "sklearn.linear_model.LogisticRegression"
SCALED = {
    "steps": [
        ["scale", {"estimator": "sklearn.preprocessing.StandardScaler"}],
        ["model", {"estimator": LOGISTIC, "params": {"C": 0.5}}],
    ]
}
CLASSIFIERS = [
    (XGB, {"n_estimators": 12, "subsample": 0.7}),
    (LOGISTIC, {}),
    ("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 8, "max_depth": 5}),
    ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 4, "max_leaf_nodes": 7}),
    ("sklearn.pipeline.Pipeline", SCALED),
]


def rows(n: int = 400, seed: int = 0) -> tuple[Matrix, Vector]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, (x[:, 0] + 0.5 * rng.normal(size=n) > 0).astype(np.float64)


def fitted(dotted: str, params: dict, task: str = "classification", seed: int = 1, data=None):
    x, y = data or rows()
    return DottedEstimators().make(dotted, params, task=task, seed=seed).fit(x, y, ["a", "b", "c"])


@pytest.mark.parametrize(("dotted", "params"), CLASSIFIERS)
class TestEveryEstimator:
    def test_training_twice_learns_the_same_state(self, dotted: str, params: dict) -> None:
        assert fitted(dotted, params).learned_state() == fitted(dotted, params).learned_state()

    def test_one_changed_label_changes_the_learned_state(self, dotted: str, params: dict) -> None:
        x, y = rows()
        y[7] = 1 - y[7]
        assert fitted(dotted, params).learned_state() != fitted(dotted, params, data=(x, y)).learned_state()

    def test_scores_are_probabilities_that_follow_the_signal(self, dotted: str, params: dict) -> None:
        x, y = rows(2000, seed=5)
        scores = fitted(dotted, params).scores(x)
        assert scores.shape == (2000,)
        assert scores.min() >= 0
        assert scores.max() <= 1
        assert scores[y == 1].mean() > scores[y == 0].mean() + 0.2


def test_the_thread_count_does_not_change_what_xgboost_learns() -> None:
    data = rows(3000)
    one, two = (fitted(XGB, {"n_estimators": 10, "n_jobs": jobs}, data=data) for jobs in (1, 2))
    assert one.learned_state() == two.learned_state()


def test_another_seed_changes_a_model_that_draws() -> None:
    params = {"n_estimators": 5, "subsample": 0.5}
    assert fitted(XGB, params, seed=1).learned_state() != fitted(XGB, params, seed=2).learned_state()


def test_the_native_form_of_xgboost_is_ubj_and_scores_alike() -> None:
    import xgboost

    model = fitted(XGB, {"n_estimators": 5})
    native = model.native()
    booster = xgboost.Booster(model_file=bytearray(native.content))
    x, _ = rows(50, seed=3)
    assert native.suffix == "ubj"
    np.testing.assert_array_equal(booster.inplace_predict(x), model.scores(x).astype(np.float32))


def test_a_gpu_that_is_absent_is_told_and_the_cpu_trains() -> None:
    import xgboost

    if xgboost.build_info().get("USE_CUDA"):
        pytest.skip("this build of XGBoost can use a GPU")
    model = fitted(XGB, {"n_estimators": 3, "device": "cuda"})
    assert (model.device.asked, model.device.used) == ("cuda", "cpu")
    assert "no CUDA" in model.device.message
    assert model.learned_state() == fitted(XGB, {"n_estimators": 3}).learned_state()


def test_a_monotone_constraint_by_name_holds() -> None:
    model = fitted(XGB, {"n_estimators": 20, "monotone_constraints": {"a": -1}})
    line = np.zeros((50, 3), dtype=np.float32)
    line[:, 0] = np.linspace(-3, 3, 50)
    assert np.all(np.diff(model.scores(line)) <= 1e-6)
    with pytest.raises(SpecError, match="'z'"):
        fitted(XGB, {"monotone_constraints": {"z": 1}})


@pytest.mark.parametrize(
    ("dotted", "params", "words"),
    [
        (XGB, {"max_dept": 3}, "max_dept is no parameter.*max_depth"),
        (XGB, {"max_depth": "deep"}, "max_depth.*'deep'"),
        (XGB, {"subsample": 3}, "3.*subsample"),
        (XGB, {"n_estimators": 0}, "n_estimators is 0"),
        (XGB, {"objective": "multi:softmax"}, "multi:softmax.*binary:logistic"),
        (XGB, {"booster": "gblinear"}, "gblinear"),
        (XGB, {"device": "banana"}, "banana.*cuda"),
        (XGB, {"random_state": 3}, r"training\.seed"),
        (XGB, {"early_stopping_rounds": 3}, "holdout"),
        ("xgboost.XGBRegressor", {}, "xgboost.XGBRegressor.*classification"),
        ("sklearn.linear_model.Nope", {}, "cannot be imported"),
        ("nowhere", {}, "cannot be imported"),
        ("collections.OrderedDict", {}, "no estimator class"),
        ("sklearn.linear_model.Ridge", {}, "no estimator for classification"),
        ("sklearn.svm.LinearSVC", {}, "predict_proba"),
        (LOGISTIC, {"CC": 1}, "CC is no parameter.*C"),
        (LOGISTIC, {"C": "x"}, "'C'.*'x'"),
        (LOGISTIC, {"random_state": 3}, r"training\.seed"),
    ],
)
def test_a_wrong_estimator_or_parameter_is_refused_by_name_before_training(dotted: str, params: dict, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        DottedEstimators().make(dotted, params, task="classification", seed=1)


def test_missing_values_in_a_linear_model_are_refused_by_feature() -> None:
    x, y = rows()
    x[3, 1] = np.nan
    with pytest.raises(SpecError, match="missing values: b;"):
        fitted(LOGISTIC, {}, data=(x, y))
