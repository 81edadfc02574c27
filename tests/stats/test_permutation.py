"""Sign-flip test of paired losses."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import paired_permutation, permutation

quick = settings(max_examples=60, deadline=None, derandomize=True)
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def enumerated(gaps):
    sums = [abs(np.dot(signs, gaps)) for signs in product([1, -1], repeat=len(gaps))]
    return np.mean(np.array(sums) >= abs(sum(gaps)) - 1e-9)


def test_darwins_maize_as_fisher_1935():
    result = paired_permutation(MAIZE, np.zeros(15))
    assert result.p_value == pytest.approx(0.05267333984, rel=1e-9)
    assert (result.method, result.units) == ("exact", 15)


@quick
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9))
def test_exact_p_equals_full_enumeration(gaps):
    assert paired_permutation(gaps, np.zeros(len(gaps))).p_value == pytest.approx(enumerated(gaps))


@quick
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0.01, 100))
def test_sign_and_scale_of_the_losses_do_not_matter(gaps, scale):
    zeros = np.zeros(len(gaps))
    forward, backward = paired_permutation(gaps, zeros), paired_permutation(zeros, scale * np.array(gaps))
    assert backward.p_value == pytest.approx(forward.p_value)
    assert backward.difference == pytest.approx(-scale * forward.difference)


def test_cluster_flips_together():
    gaps, codes = [1, 2, 3, -1, 4, 5], ["a", "a", "b", "b", "c", "c"]
    assert paired_permutation(gaps, np.zeros(6), clusters=codes).p_value == enumerated([3, 2, 9])


def test_drawn_signs_come_close_to_the_enumeration_and_repeat_with_the_seed(monkeypatch):
    monkeypatch.setattr(permutation, "EXACT_UNITS", 5)
    result = paired_permutation(MAIZE, np.zeros(15), seed=1)
    assert result.method == "monte-carlo"
    assert result.p_value == pytest.approx(0.05267, abs=4 * np.sqrt(0.05 * 0.95 / 9999))
    assert paired_permutation(MAIZE, np.zeros(15), seed=1) == result


def test_drawn_p_is_never_zero():
    assert paired_permutation(np.full(50, 3.0), np.zeros(50), resamples=99).p_value == 0.01


@pytest.mark.parametrize("shift", [0.0005, 0.02, 0.04])
def test_saddlepoint_agrees_with_a_long_draw(monkeypatch, shift):
    gaps = np.random.default_rng(1).standard_t(8, 3000)
    gaps += shift - gaps.mean()
    drawn = paired_permutation(gaps, np.zeros(3000), resamples=100_000)
    monkeypatch.setattr(permutation, "MONTE_CARLO_UNITS", 100)
    monkeypatch.setattr(permutation, "DOMINANT", 0.5)
    smooth = paired_permutation(gaps, np.zeros(3000))
    assert (drawn.method, smooth.method) == ("monte-carlo", "saddlepoint")
    error = np.sqrt(drawn.p_value * (1 - drawn.p_value) / 100_000)
    assert smooth.p_value == pytest.approx(drawn.p_value, abs=4 * error + 1e-5)


def test_saddlepoint_equals_the_binomial_tail_where_all_differences_are_equal_in_size(monkeypatch):
    from scipy.stats import binom

    monkeypatch.setattr(permutation, "MONTE_CARLO_UNITS", 100)
    monkeypatch.setattr(permutation, "EXACT_UNITS", 20)
    gaps = np.repeat([1.0, -1.0], [1100, 900])
    # A lattice: the continuous approximation sits between P(>= 1100) and P(> 1100).
    p_value = paired_permutation(gaps, np.zeros(2000)).p_value
    assert 2 * binom.sf(1100, 2000, 0.5) < p_value < 2 * binom.sf(1099, 2000, 0.5)


def test_dominant_unit_is_drawn_and_not_approximated(monkeypatch):
    monkeypatch.setattr(permutation, "MONTE_CARLO_UNITS", 100)
    gaps = np.concatenate(([500.0], np.random.default_rng(2).normal(size=500)))
    assert paired_permutation(gaps, np.zeros(501)).method == "monte-carlo"


def test_all_differences_of_one_sign_give_the_smallest_possible_p(monkeypatch):
    monkeypatch.setattr(permutation, "MONTE_CARLO_UNITS", 100)
    assert paired_permutation(np.ones(150), np.zeros(150)).p_value == pytest.approx(2.0**-149)


def test_no_difference_anywhere_gives_p_one():
    result = paired_permutation([1, 2, 3], [1, 2, 3])
    assert (result.p_value, result.units) == (1, 0)


@pytest.mark.parametrize(
    ("old", "new", "options", "named"),
    [
        ([1, np.nan], [1, 2], {}, "`loss_champion`.*NaN"),
        ([1, 2], [1, 2, 3], {}, "`loss_candidate` has 3 rows where 2"),
        ([1, 2], [2, 1], {"clusters": [4, 4]}, "`clusters` holds one cluster only"),
        ([1, 2], [2, 1], {"resamples": 0}, "`resamples` is 0"),
    ],
)
def test_unusable_input_is_refused_by_name(old, new, options, named):
    with pytest.raises(InputError, match=named):
        paired_permutation(old, new, **options)
