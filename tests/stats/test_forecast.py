"""Diebold and Mariano's test with the correction of Harvey, Leybourne and Newbold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import diebold_mariano

quick = settings(max_examples=60, deadline=None, derandomize=True)

# Out-of-sample errors for WWWusage[81:100] of the example of R's forecast::dm.test.
ETS = [0.002241270, -0.000661906, -1.200002613, -4.000218178, 3.799373533, 3.401005111, -1.199692125, -0.800490048, -1.200048999,
       3.399847229, 7.000708948, 2.200989241, -4.800165569, -1.201043375, 3.400167556, 3.000709085, 0.400267950, -6.800169207,
       -2.401259050, 1.200112198]  # fmt: skip
ARIMA = [0.1209998, 8.0622269, -0.9189429, -1.7952436, 5.3431277, 2.0459823, -0.6073261, 0.5516816, -0.7633238, 4.1229472,
         5.8785333, 1.2828331, -3.4854233, 1.1971370, 3.1709314, 2.3408457, 0.4962286, -5.9841362, 0.1537114,
         0.4207951]  # fmt: skip


@pytest.mark.parametrize(("h", "power", "p_value"), [(1, 2, 0.8871), (10, 2, 0.9362), (1, 1, 0.7818)])
def test_r_forecast_example_on_www_usage(h, power, p_value):
    assert diebold_mariano(ETS, ARIMA, h, power).p_value == pytest.approx(p_value, abs=5e-5)


def test_positive_statistic_means_that_the_second_forecast_is_better():
    result = diebold_mariano([2, -3, 2, 4], [1, 1, -1, 1])
    assert result.statistic > 0
    assert result.difference == pytest.approx(33 / 4 - 1)


@quick
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(["acf", "bartlett"]))
def test_swapping_the_forecasts_turns_the_sign(seed, h, variance):
    one, other = np.random.default_rng(seed).normal(size=(2, 25))
    forward = diebold_mariano(one, other, h, variance=variance)
    backward = diebold_mariano(other, one, h, variance=variance)
    assert backward.statistic == pytest.approx(-forward.statistic)
    assert backward.p_value == pytest.approx(forward.p_value)


def test_horizon_sums_the_autocovariances_below_it():
    losses = np.array([3.0, 1.0, -2.0, 4.0, 0.0, 5.0, 2.0, -1.0])
    n, h, centred = losses.size, 3, losses - losses.mean()
    variance = (centred @ centred + 2 * sum(centred[k:] @ centred[:-k] for k in (1, 2))) / n
    if variance <= 0:
        pytest.fail("the example must have a positive variance")
    expected = losses.mean() / np.sqrt(variance / n) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    e1, e2 = np.maximum(losses, 0), np.maximum(-losses, 0)
    assert diebold_mariano(e1, e2, h, 1).statistic == pytest.approx(expected)


def test_negative_variance_falls_back_to_horizon_one_and_says_so():
    losses = np.array([1.0, -1.0] * 6 + [0.5])
    e1, e2 = np.maximum(losses, 0), np.maximum(-losses, 0)
    result = diebold_mariano(e1, e2, 2, 1)
    assert result.horizon == 1
    assert result == diebold_mariano(e1, e2, 1, 1)
    assert diebold_mariano(e1, e2, 2, 1, variance="bartlett").horizon == 2


def test_equal_losses_give_statistic_zero_and_p_one():
    result = diebold_mariano([1, -2, 3], [-1, 2, 3])
    assert (result.statistic, result.p_value) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([2, 2, 2], [1, 1, 1]), "zero variance"),
        (([1, np.nan], [1, 2]), "`e1`.*NaN"),
        (([1, 2, 3], [1, 2]), "`e2` has 2 rows where 3"),
        (([1, 2, 3], [3, 2, 2], 3), "`h` is 3 with 3 rows"),
        (([1, 2, 3], [3, 2, 2], 0), "`h` is 0"),
        (([1, 2, 3], [3, 2, 2], 1, -1), "`power` is -1"),
    ],
)
def test_unusable_input_is_refused_by_name(arguments, named):
    with pytest.raises(InputError, match=named):
        diebold_mariano(*arguments)
