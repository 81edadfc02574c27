"""Nadeau and Bengio's corrected resampled t test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import corrected_resampled_t

quick = settings(max_examples=60, deadline=None, derandomize=True)

# Points of AUC, radial basis against linear support vectors, over 10 x 10 folds of 100 moons (90 to train, 10 to test).
GRID_SEARCH_STATISTICS = {-12: 1, -8: 2, -4: 10, 0: 53, 4: 29, 8: 4, 20: 1}


def test_scikit_learn_grid_search_statistics_example():
    differences = np.repeat(list(GRID_SEARCH_STATISTICS), list(GRID_SEARCH_STATISTICS.values())) / 100
    result = corrected_resampled_t(differences, 90, 10)
    assert result.statistic == pytest.approx(0.7503127, rel=1e-6)
    assert result.t == result.statistic
    assert result.p_value == pytest.approx(0.2274230, rel=1e-6)


@quick
@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=30))
def test_swapping_the_recipes_turns_the_sign(differences):
    forward = corrected_resampled_t(differences, 80, 20)
    backward = corrected_resampled_t([-d for d in differences], 80, 20)
    assert backward.statistic == pytest.approx(-forward.statistic)
    assert backward.p_value == pytest.approx(1 - forward.p_value, abs=1e-12)


def test_overlapping_splits_weigh_less_than_independent_ones():
    differences = [0.01, 0.03, 0.02, 0.04]
    mean_error = np.std(differences, ddof=1) / 2
    assert corrected_resampled_t(differences, 90, 10).standard_error > mean_error
    assert corrected_resampled_t(differences, 10**9, 1).standard_error == pytest.approx(mean_error)


def test_all_differences_zero_are_no_evidence():
    result = corrected_resampled_t([0, 0, 0], 90, 10)
    assert (result.statistic, result.p_value) == (0, 0.5)


def test_equal_differences_have_zero_variance_and_infinite_t():
    assert corrected_resampled_t([0.1, 0.1, 0.1], 90, 10).statistic == np.inf


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([0.1], 90, 10), "`differences` has 1 rows"),
        (([0.1, np.nan], 90, 10), "`differences`.*NaN"),
        (([0.1, 0.2], 0, 10), "`n_train` is 0"),
        (([0.1, 0.2], 90, 0.5), "`n_test` is 0.5"),
    ],
)
def test_unusable_input_is_refused_by_name(arguments, named):
    with pytest.raises(InputError, match=named):
        corrected_resampled_t(*arguments)
