"""Non-inferiority, then superiority."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import closed_test, delong_test, non_inferiority

quick = settings(max_examples=80, deadline=None, derandomize=True)
numbers = st.floats(-1, 1)


def test_asah_wfns_against_s100b_within_five_points(asah):
    comparison = delong_test(asah.outcome, asah.s100b, asah.wfns)
    result = non_inferiority(comparison.difference, comparison.standard_error, 0.05, 0.05)
    assert result.p_value == pytest.approx(0.000330236, rel=1e-6)
    assert result.lower_bound == pytest.approx(0.0235742, rel=1e-6)
    assert result.non_inferior
    assert result.superior


@quick
@given(numbers, st.floats(1e-6, 1), st.floats(0, 0.5), st.floats(0.001, 0.4))
def test_bound_and_p_value_say_the_same(difference, error, margin, alpha):
    result = non_inferiority(difference, error, margin, alpha)
    if abs(result.lower_bound + margin) > 1e-9:
        assert result.non_inferior == (result.lower_bound > -margin)
    if abs(result.lower_bound) > 1e-9:
        assert (result.p_superior <= alpha) == (result.lower_bound > 0)


@quick
@given(numbers, st.floats(0, 1), st.floats(0, 0.5))
def test_superior_implies_non_inferior_and_excludes_harmful(difference, error, margin):
    result = non_inferiority(difference, error, margin, 0.05)
    assert result.non_inferior or not result.superior
    assert not (result.superior and result.harmful)


@quick
@given(numbers, st.floats(1e-6, 1))
def test_with_no_margin_swapping_the_models_mirrors_the_bounds(difference, error):
    forward, backward = non_inferiority(difference, error, 0, 0.05), non_inferiority(-difference, error, 0, 0.05)
    assert backward.upper_bound == pytest.approx(-forward.lower_bound)
    assert backward.p_value == pytest.approx(1 - forward.p_value)


def test_equal_models_without_error_are_non_inferior_but_never_superior():
    result = non_inferiority(0.0, 0.0, 0.01, 0.05)
    assert (result.non_inferior, result.superior, result.harmful) == (True, False, False)


def test_equal_models_without_error_and_margin_prove_nothing():
    assert not non_inferiority(0.0, 0.0, 0.0, 0.05).non_inferior


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((float("nan"), 1, 0.1, 0.05), "`difference` is nan"),
        ((0, float("inf"), 0.1, 0.05), "`standard_error` is inf"),
        ((0, -1, 0.1, 0.05), "`standard_error` is -1"),
        ((0, 1, -0.1, 0.05), "`margin` is -0.1"),
        ((0, 1, 0.1, 0.6), "`alpha` is 0.6"),
        ((0, 1, 0.1, 0), "`alpha` is 0"),
    ],
)
def test_unusable_numbers_are_refused_by_name(arguments, named):
    with pytest.raises(InputError, match=named):
        non_inferiority(*arguments)


def test_students_t_asks_for_more_than_the_normal_distribution_and_becomes_it():
    few = closed_test(0.03, 0.01, 0.0, 0.001, degrees_of_freedom=19)
    many = closed_test(0.03, 0.01, 0.0, 0.001, degrees_of_freedom=1e9)
    normal = non_inferiority(0.03, 0.01, 0.0, 0.001)
    assert few.p_superior == pytest.approx(0.003680862, rel=1e-6)  # t of 3 with 19 degrees of freedom
    assert few.lower_bound < many.lower_bound
    assert many.lower_bound == pytest.approx(normal.lower_bound, rel=1e-6)
    assert many.p_superior == pytest.approx(normal.p_superior, rel=1e-6)


def test_a_single_cluster_is_refused():
    with pytest.raises(InputError, match="`degrees_of_freedom` is 0"):
        closed_test(0.03, 0.01, 0.0, 0.05, degrees_of_freedom=0)
