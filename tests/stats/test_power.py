"""Power before training."""

import numpy as np
import pytest

from sluicegate.errors import InputError
from sluicegate.stats import (
    auc_mde,
    delong_test,
    hanley_mcneil_se,
    mcnemar_sample_size,
    mcnemar_test,
    minimum_detectable_effect,
)


def test_hanley_and_mcneil_1982():
    assert hanley_mcneil_se(0.893, 51, 58) == pytest.approx(0.0325, abs=5e-5)


def test_connor_1987():
    assert mcnemar_sample_size(0.05, 0.45) == 23
    assert mcnemar_sample_size(0.45, 0.05) == 23


def test_perfect_auc_has_no_error():
    assert hanley_mcneil_se(1.0, 10, 10) == 0


def test_minimum_detectable_effect_is_what_the_test_finds_with_the_promised_power():
    rng = np.random.default_rng(3)
    effect = minimum_detectable_effect(1.0, alpha=0.05, power=0.8)
    found = np.mean(np.abs(rng.normal(effect, 1, 20_000)) > 1.959964)
    assert found == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 20_000))


def test_auc_mde_of_independent_models_is_found_by_delong_about_as_often_as_promised():
    rng = np.random.default_rng(4)
    effect, repeats, n = auc_mde(0.76, 200, 200), 300, 400
    y = np.arange(n) < n // 2
    found = 0
    for _ in range(repeats):
        # AUC of two normals a distance d apart is Phi(d / sqrt 2): 0.76 -> d 1.0, and 0.76 + effect.
        champion = rng.normal(size=n) + 0.9989 * y
        candidate = rng.normal(size=n) + np.sqrt(2) * _normal_quantile(0.76 + effect) * y
        found += delong_test(y, champion, candidate).p_value <= 0.05
    assert found / repeats == pytest.approx(0.8, abs=0.1)


def test_correlated_models_need_less():
    assert auc_mde(0.8, 100, 100, correlation=0.75) == pytest.approx(auc_mde(0.8, 100, 100) / 2)


def test_mcnemar_sample_size_reaches_its_power():
    rng = np.random.default_rng(5)
    n = mcnemar_sample_size(0.1, 0.25)
    tables = rng.multinomial(n, [0.1, 0.25, 0.65], size=1500)
    found = np.mean([mcnemar_test(int(b), int(c), method="chi2").p_value <= 0.05 for b, c, _ in tables])
    assert found == pytest.approx(0.8, abs=0.045)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: hanley_mcneil_se(1.1, 10, 10), "`auc` is 1.1"),
        (lambda: hanley_mcneil_se(0.8, 0, 10), "`n_positive` is 0"),
        (lambda: auc_mde(0.8, 10, 10, correlation=1), "`correlation` is 1"),
        (lambda: mcnemar_sample_size(0.2, 0.2), "must differ"),
        (lambda: mcnemar_sample_size(0.6, 0.5), "sum to at most 1"),
        (lambda: minimum_detectable_effect(float("nan")), "`standard_error` is nan"),
        (lambda: minimum_detectable_effect(1, sides=3), "`sides` is 3"),
    ],
)
def test_impossible_plans_are_refused_by_name(call, named):
    with pytest.raises(InputError, match=named):
        call()


def _normal_quantile(p):
    from scipy.special import ndtri

    return float(ndtri(p))
