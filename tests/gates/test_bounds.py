"""Bounds of means and sums over buckets: the same numbers as the long way round."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.gates import bounds, events, moments
from sluicegate.stats import normal_mixture_bound


@given(st.floats(1e-6, 1e3), st.floats(1e-3, 0.9), st.floats(1e-9, 0.4))
def test_a_half_width_is_the_normal_mixture_bound_in_information_time(error, margin, alpha):
    information = error**-2
    long = normal_mixture_bound(information, v_opt=(bounds.DECIDE_AT / margin) ** 2, alpha=alpha) / information
    assert bounds.half_width(error, margin, alpha) == pytest.approx(long, rel=1e-9)


@pytest.mark.parametrize("error", [0.0, inf])
def test_without_information_the_interval_is_infinite(error):
    assert bounds.half_width(error, 0.01, 0.05) == inf


class TestMoments:
    @pytest.fixture
    def table(self):
        rng = np.random.default_rng(3)
        units = rng.poisson(30, 200).astype(float)
        return np.stack([units, rng.binomial(units.astype(int), 0.1), units * rng.normal(2.0, 0.1, 200)])[None]

    def test_errors_of_means_are_those_of_the_residuals(self, table):
        (found,) = moments.of(table)
        for row in (1, 2):
            assert found.error(row) == pytest.approx(float(bounds.ratio_standard_error(table[0, row], table[0, 0])), rel=1e-9)

    def test_overdispersion_is_that_of_the_residuals(self, table):
        table[0, 1, :5] = table[0, 0, :5]
        (found,) = moments.of(table)
        assert found.overdispersion(1) == pytest.approx(float(events.overdispersion(table[0, 1], table[0, 0])), rel=1e-9)

    def test_no_requests_have_no_mean_and_no_certainty(self):
        (found,) = moments.of(np.zeros((1, 3, 200)))
        assert (found.mean(1), found.error(1), found.overdispersion(1), found.users) == (0.0, inf, 1.0, 0)


class TestIndependentError:
    def test_it_is_that_of_two_independent_means(self):
        found = bounds.independent_error((400.0, 0.0, 400.0), (100.0, 0.0, 100.0), 1e-9)
        assert found == pytest.approx((1 / 400 + 1 / 100) ** 0.5)

    def test_a_candidate_that_seems_quiet_is_believed_as_noisy_as_the_champion(self):
        assert bounds.independent_error((400.0, 0.0, 400.0), (100.0, 0.0, 0.0), 1e-9) == pytest.approx((1 / 400 + 1 / 100) ** 0.5)

    def test_constant_values_are_certain_but_for_one_request_that_is_off_by_the_margin(self):
        assert bounds.independent_error((400.0, 400.0, 400.0), (100.0, 100.0, 100.0), 0.5) == pytest.approx(0.005)
