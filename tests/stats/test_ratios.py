"""Difference of two ratio means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind, ttest_rel

from sluicegate.errors import InputError
from sluicegate.stats import ratio_difference

quick = settings(max_examples=60, deadline=None, derandomize=True)


def rows(seed, buckets=12, looks=3):
    """Rows of a split: even buckets champion, odd ones candidate."""
    rng = np.random.default_rng(seed)
    bucket = np.tile(np.arange(buckets), looks)
    denominator = rng.integers(1, 50, bucket.size)
    return rng.binomial(denominator, 0.2).astype(float), denominator.astype(float), bucket % 2, bucket


def test_one_row_per_bucket_and_unit_exposure_is_welchs_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=30), rng.normal(0.5, 2, size=20)
    result = ratio_difference(np.r_[a, b], np.ones(50), np.repeat([0, 1], [30, 20]), np.arange(50))
    welch = ttest_ind(b, a, equal_var=False)
    assert result.difference / result.standard_error == pytest.approx(welch.statistic)
    assert (result.champion, result.candidate) == pytest.approx((a.mean(), b.mean()))


def test_every_bucket_in_both_arms_is_the_paired_test():
    rng = np.random.default_rng(2)
    a = rng.normal(size=25)
    b = a + rng.normal(0.1, 0.2, size=25)
    result = ratio_difference(np.r_[a, b], np.ones(50), np.repeat([0, 1], 25), np.tile(np.arange(25), 2))
    assert result.difference / result.standard_error == pytest.approx(ttest_rel(b, a).statistic)


@quick
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_order_of_rows_and_names_of_buckets_do_not_matter(seed, random):
    top, bottom, arm, bucket = rows(seed)
    order = list(range(top.size))
    random.shuffle(order)
    plain = ratio_difference(top, bottom, arm, bucket)
    other = ratio_difference(top[order], bottom[order], arm[order], [f"bucket {b}" for b in bucket[order]])
    assert other.difference == pytest.approx(plain.difference)
    assert other.standard_error == pytest.approx(plain.standard_error)


@quick
@given(st.integers(0, 1000))
def test_swapping_the_arms_turns_the_sign(seed):
    top, bottom, arm, bucket = rows(seed)
    forward, backward = ratio_difference(top, bottom, arm, bucket), ratio_difference(top, bottom, 1 - arm, bucket)
    assert backward.difference == -forward.difference
    assert backward.standard_error == pytest.approx(forward.standard_error)


@quick
@given(st.integers(0, 1000))
def test_adding_up_the_looks_first_changes_nothing(seed):
    top, bottom, arm, bucket = rows(seed)
    summed = ratio_difference(np.bincount(bucket, top), np.bincount(bucket, bottom), np.arange(12) % 2, np.arange(12))
    plain = ratio_difference(top, bottom, arm, bucket)
    assert (summed.difference, summed.standard_error) == pytest.approx((plain.difference, plain.standard_error))


def test_standard_error_is_the_spread_of_repeated_experiments():
    rng = np.random.default_rng(3)
    differences, errors = [], []
    for _ in range(400):
        exposure = rng.poisson(20, 200) + 1
        rate = rng.beta(2, 18, 200)  # users differ: requests of one bucket resemble each other
        result = ratio_difference(rng.binomial(exposure, rate), exposure, np.arange(200) % 2, np.arange(200))
        differences.append(result.difference)
        errors.append(result.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.12)


def test_bucket_without_exposure_is_no_unit():
    result = ratio_difference([1, 2, 0, 3, 5], [10, 10, 0, 10, 10], [0, 0, 0, 1, 1], [0, 1, 2, 3, 4])
    assert (result.buckets_champion, result.buckets_candidate) == (2, 2)
    assert result == ratio_difference([1, 2, 3, 5], [10, 10, 10, 10], [0, 0, 1, 1], [0, 1, 3, 4])


def test_zero_variance_gives_error_zero_and_infinite_information():
    result = ratio_difference([0, 0, 0, 0], [5, 6, 7, 8], [0, 0, 1, 1], [0, 1, 2, 3])
    assert (result.difference, result.standard_error, result.information) == (0, 0, np.inf)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([1, np.nan], [1, 1], [0, 1], [0, 1]), "`numerator`.*NaN"),
        (([1, 1], [1, -1], [0, 1], [0, 1]), "`denominator` holds -1"),
        (([1, 1], [1, 1], [0, 2], [0, 1]), "`arm` holds 2"),
        (([1, 1], [1, 1], [0, 1], [3, 3]), "`bucket` holds one cluster only"),
        (([1, 1], [1, 1], [0, 1], [0, 1]), "`arm` 0 has exposure 1 in 1 buckets"),
        (([1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 1, 2]), "`arm` 1 has exposure 0 in 0 buckets"),
        (([1, 1], [1], [0, 1], [0, 1]), "`denominator` has 1 rows where 2"),
    ],
)
def test_no_evidence_is_refused_by_name(arguments, named):
    with pytest.raises(InputError, match=named):
        ratio_difference(*arguments)
