"""Population stability index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import population_stability_index

quick = settings(max_examples=60, deadline=None, derandomize=True)
histograms = st.lists(st.integers(1, 500), min_size=5, max_size=5)
ACTUAL = [0.05, 0.08, 0.10, 0.12, 0.10, 0.11, 0.13, 0.12, 0.10, 0.09]


def test_uniform_expectation_example():
    assert population_stability_index([0.1] * 10, ACTUAL).index == pytest.approx(0.0562907272, rel=1e-9)
    assert float(population_stability_index([0.1] * 10, ACTUAL)) == pytest.approx(0.0562907272, rel=1e-9)


def test_counts_and_shares_of_known_size_agree():
    shares = population_stability_index([0.1] * 10, ACTUAL, n_expected=1000, n_actual=200)
    counts = population_stability_index([100] * 10, np.array(ACTUAL) * 200)
    assert counts.index == pytest.approx(shares.index)
    assert counts.p_value == pytest.approx(shares.p_value)
    assert counts.null_mean == pytest.approx(9 * (1 / 1000 + 1 / 200))


def test_shares_of_unknown_size_have_no_null():
    assert np.isnan(population_stability_index([0.1] * 10, ACTUAL).p_value)


def test_null_distribution_is_what_equal_samples_give():
    rng = np.random.default_rng(1)
    share = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    results = [population_stability_index(rng.multinomial(3000, share), rng.multinomial(800, share)) for _ in range(1500)]
    indices = np.array([result.index for result in results])
    assert indices.mean() == pytest.approx(4 * (1 / 3000 + 1 / 800), rel=0.08)
    assert np.mean([result.p_value <= 0.05 for result in results]) == pytest.approx(0.05, abs=0.02)
    assert np.mean(indices > results[0].threshold(0.05)) == pytest.approx(0.05, abs=0.02)


@quick
@given(histograms, histograms)
def test_index_is_symmetric_never_negative_and_blind_to_the_order_of_bins(old, new):
    result = population_stability_index(old, new)
    assert result.index >= 0
    assert population_stability_index(new, old).index == pytest.approx(result.index)
    assert population_stability_index(old[::-1], new[::-1]).index == pytest.approx(result.index)


def test_equal_histograms_have_index_zero_and_p_one():
    result = population_stability_index([10, 20, 30], [100, 200, 300])
    assert (result.index, result.p_value) == pytest.approx((0, 1))


def test_empty_bin_counts_as_half_an_observation():
    expected = (0.05 - 0.5) * np.log(0.05 / 0.5) + (0.5 - 1.0) * np.log(0.5 / 1.0)
    assert population_stability_index([10, 0], [5, 5]).index == pytest.approx(expected)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ([1, np.nan], [1, 1], "`expected`.*NaN"),
        ([1, 1], [1, -1], "`actual` holds -1"),
        ([5], [5], "`expected` has 1 bins"),
        ([0, 0], [1, 1], "sum to 0"),
        ([1, 1], [1, 1, 1], "`actual` has 3 rows where 2"),
    ],
)
def test_unusable_input_is_refused_by_name(old, new, named):
    with pytest.raises(InputError, match=named):
        population_stability_index(old, new)


def test_index_is_a_number_that_can_be_compared_and_subtracted():
    result = population_stability_index([0.1] * 10, ACTUAL)
    assert abs(result - 0.0562907272) < 1e-9
    assert 0.05 < result < 0.06
