"""Sequential multinomial test of Lindon and Malek."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import MultinomialTest, multinomial_log_e_value

quick = settings(max_examples=60, deadline=None, derandomize=True)
THETA = [0.4, 0.4, 0.2]

# Marginal log likelihoods of mixture and null from the tests of the authors' package, flat Dirichlet(1, 1, 1).
ONE_BY_ONE = ([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
              [-1.0986122886681096, -2.4849066497880004, -3.401197381662155, -4.499809670330265, -6.4457198193855785],
              [-0.916290731874155, -1.83258146374831, -2.748872195622465, -3.66516292749662, -5.27460083993072])  # fmt: skip
BY_HOUR = ([[20, 17, 9], [18, 21, 8], [4, 6, 4], [18, 19, 11]],
           [-7.028201432058012, -11.947847738358888, -15.471401950257842, -19.96484521090386],
           [-4.0776406466061985, -8.265946861099877, -11.610743519545139, -15.781031228536165])  # fmt: skip


@pytest.mark.parametrize(("looks", "mixture", "null"), [ONE_BY_ONE, BY_HOUR])
def test_reference_tests_of_the_ssrm_package(looks, mixture, null):
    test = MultinomialTest(THETA, [1, 1, 1])
    for look, log_mixture, log_null in zip(looks, mixture, null, strict=True):
        test.update(look)
        assert test.log_e_value == pytest.approx(log_mixture - log_null, rel=1e-9)


def test_number_mixes_around_theta():
    counts = [30, 50, 20]
    by_number, by_vector = MultinomialTest(THETA, 50), MultinomialTest(THETA, [20, 20, 10])
    assert by_number.update(counts) == by_vector.update(counts)
    assert by_number.log_e_value == multinomial_log_e_value(counts, THETA, 50)


def test_p_value_is_the_running_minimum():
    test = MultinomialTest([0.5, 0.5], 10)
    suspicious = test.update([30, 2])
    assert test.update([0, 28]) == suspicious < 0.001
    assert test.log_e_value < 0


@quick
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8), st.floats(0.1, 1e4))
def test_splitting_the_looks_changes_the_e_value_by_nothing(looks, concentration):
    test = MultinomialTest(THETA, concentration)
    for look in looks:
        assert 0 < test.update(look) <= 1
    assert test.log_e_value == pytest.approx(multinomial_log_e_value(np.sum(looks, axis=0), THETA, concentration), abs=1e-9)


@quick
@given(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)), st.floats(0.1, 100))
def test_expected_next_value_under_the_null_is_the_present_one(counts, concentration):
    def value(extra):
        return np.exp(multinomial_log_e_value(np.array(counts) + extra, THETA, concentration))

    following = sum(share * value(row) for share, row in zip(THETA, np.eye(3), strict=True))
    assert following == pytest.approx(value(np.zeros(3)), rel=1e-9)


def test_order_of_categories_does_not_matter():
    forward = multinomial_log_e_value([5, 9, 1], THETA, 7)
    assert multinomial_log_e_value([1, 5, 9], [0.2, 0.4, 0.4], 7) == pytest.approx(forward)


def test_count_where_the_share_is_zero_is_proof():
    test = MultinomialTest([1.0, 0.0], 10)
    assert test.update([50, 0]) == 1
    assert test.update([0, 1]) == 0


def test_false_alarms_over_many_looks_stay_below_alpha():
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(600):
        test = MultinomialTest([0.95, 0.05], 100)
        alarms += min(test.update(look) for look in rng.multinomial(20, [0.95, 0.05], size=30)) <= 0.05
    assert alarms / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: MultinomialTest([0.5, 0.4], 1), "`theta` has 2 shares summing to 0.9"),
        (lambda: MultinomialTest([1.0], 1), "`theta` has 1 shares"),
        (lambda: MultinomialTest([0.5, 0.5], 0), "`concentration` is 0"),
        (lambda: MultinomialTest([0.5, 0.5], [1, 2, 3]), "`concentration` has 3 rows where 2"),
        (lambda: MultinomialTest([0.5, np.nan], 1), "`theta`.*NaN"),
        (lambda: MultinomialTest([0.5, 0.5], 1).update([1, -1]), "`counts` holds -1"),
        (lambda: MultinomialTest([0.5, 0.5], 1).update([1, np.nan]), "`counts`.*NaN"),
        (lambda: MultinomialTest([0.5, 0.5], 1).update([1, 1, 1]), "`counts` has 3 rows where 2"),
    ],
)
def test_unusable_input_is_refused_by_name(call, named):
    with pytest.raises(InputError, match=named):
        call()
