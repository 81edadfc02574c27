"""Churn and backward compatibility."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import churn

quick = settings(max_examples=60, deadline=None, derandomize=True)
decisions = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40)


def digits(text):
    return [int(character) for character in text]


def test_worked_example():
    result = churn(digits("1100011010"), digits("1010001110"), digits("1110001010"))
    assert (result.churn, result.negative_flips, result.backward_trust) == pytest.approx((0.4, 0.2, 0.75))


@quick
@given(decisions)
def test_net_flips_are_the_change_of_accuracy(rows):
    old, new, y = np.array(rows).T
    result = churn(old, new, y)
    assert result.positive_flips - result.negative_flips == pytest.approx((new == y).mean() - (old == y).mean())
    assert result.churn >= result.positive_flips + result.negative_flips - 1e-12


@quick
@given(decisions)
def test_swapping_the_models_swaps_the_flips(rows):
    old, new, y = np.array(rows).T
    forward, backward = churn(old, new, y), churn(new, old, y)
    assert (forward.churn, forward.negative_flips) == (backward.churn, backward.positive_flips)


def test_old_model_that_got_nothing_right_has_no_trust_to_lose():
    assert np.isnan(churn([0, 0], [1, 0], [1, 1]).backward_trust)


@pytest.mark.parametrize(
    ("old", "new", "y", "named"),
    [([1, np.nan], [1, 1], [1, 1], "`old`.*NaN"), ([1], [1, 1], [1, 1], "`old` has 1 rows where 2"), ([], [], [], "0 rows")],
)
def test_unusable_input_is_refused_by_name(old, new, y, named):
    with pytest.raises(InputError, match=named):
        churn(old, new, y)
