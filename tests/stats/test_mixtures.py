"""Mixture boundaries of Howard, Ramdas, McAuliffe and Sekhon."""

from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc

from sluicegate.errors import InputError
from sluicegate.stats import (
    best_rho,
    beta_binomial_bound,
    beta_binomial_log_value,
    normal_mixture_bound,
    normal_mixture_log_value,
)
from sluicegate.stats.mixtures import _log_incomplete_beta

quick = settings(max_examples=60, deadline=None, derandomize=True)
TUNED = {"v_opt": 100, "alpha": 0.05}
COIN = {**TUNED, "g": 0.2, "h": 0.8}


class TestReferenceTestsOfConfseq:
    def test_two_sided_normal_mixture(self):
        assert best_rho(100, 0.05) == pytest.approx(12.60056, rel=1e-6)
        assert normal_mixture_log_value(10, 100, **TUNED) == pytest.approx(-0.6510052, rel=1e-6)
        assert normal_mixture_bound(100, **TUNED) == pytest.approx(30.35209, rel=1e-6)

    def test_one_sided_normal_mixture(self):
        assert normal_mixture_log_value(10, 100, **TUNED, sides=1) == pytest.approx(-0.06502391, rel=1e-6)
        assert normal_mixture_bound(100, **TUNED, sides=1) == pytest.approx(27.66071, rel=1e-6)

    def test_two_sided_beta_binomial_mixture(self):
        assert beta_binomial_log_value(10, 100, **COIN) == pytest.approx(-0.6941012, rel=1e-6)
        assert beta_binomial_bound(100, **COIN) == pytest.approx(31.4308, rel=1e-6)

    def test_one_sided_beta_binomial_mixture(self):
        assert beta_binomial_log_value(10, 100, **COIN, sides=1) == pytest.approx(-0.07134019, rel=1e-6)
        assert beta_binomial_bound(100, **COIN, sides=1) == pytest.approx(28.41238, rel=1e-6)


class TestNormalMixture:
    @quick
    @given(st.floats(0, 1e5), st.floats(1e-2, 1e5), st.floats(1e-4, 0.4), st.sampled_from([1, 2]))
    def test_value_at_the_bound_is_one_over_alpha(self, v, v_opt, alpha, sides):
        bound = normal_mixture_bound(v, v_opt=v_opt, alpha=alpha, sides=sides)
        value = normal_mixture_log_value(bound, v, v_opt=v_opt, alpha=alpha, sides=sides)
        assert value == pytest.approx(-np.log(alpha), abs=1e-8)

    def test_bound_is_the_formula_of_the_design(self):
        v, rho, alpha = 250.0, best_rho(100, 0.05), 0.05
        assert normal_mixture_bound(v, **TUNED) == pytest.approx(np.sqrt((v + rho) * np.log((v + rho) / (rho * alpha**2))))

    @pytest.mark.parametrize("sides", [1, 2])
    def test_expected_value_under_the_null_is_one(self, sides):
        x, weight = np.polynomial.hermite_e.hermegauss(120)
        value = np.exp(normal_mixture_log_value(x * np.sqrt(3.0), 3.0, v_opt=5, alpha=0.05, sides=sides))
        assert (weight / np.sqrt(2 * np.pi)) @ value == pytest.approx(1, rel=1e-6)

    @quick
    @given(st.floats(-100, 100), st.floats(0, 1000))
    def test_two_sided_value_is_blind_to_the_sign_and_one_sided_is_not(self, s, v):
        assert normal_mixture_log_value(-s, v, **TUNED) == normal_mixture_log_value(s, v, **TUNED)
        if s > 1e-3:
            assert normal_mixture_log_value(-s, v, **TUNED, sides=1) < normal_mixture_log_value(s, v, **TUNED, sides=1)

    def test_bound_is_tightest_relative_to_the_deviation_near_v_opt(self):
        v = np.geomspace(1, 1e4, 400)
        at = {v_opt: normal_mixture_bound(100.0, v_opt=v_opt, alpha=0.05) for v_opt in v}
        assert min(at, key=at.get) == pytest.approx(100, rel=0.1)

    def test_arrays_broadcast_and_scalars_come_back_as_float(self):
        s, v = np.array([[1.0], [5.0]]), np.array([1.0, 10.0, 100.0])
        values = normal_mixture_log_value(s, v, **TUNED, sides=1)
        assert values.shape == (2, 3)
        assert values[1, 2] == normal_mixture_log_value(5, 100, **TUNED, sides=1)
        assert normal_mixture_bound(v, **TUNED, sides=1)[1] == pytest.approx(normal_mixture_bound(10, **TUNED, sides=1))
        assert isinstance(normal_mixture_bound(1, **TUNED), float)

    def test_random_walk_crosses_at_most_as_often_as_promised(self):
        rng = np.random.default_rng(6)
        walks, looks = 3000, 400
        sums = np.cumsum(rng.normal(size=(walks, looks)), axis=1)
        v = np.arange(1.0, looks + 1)
        crossed = np.mean((np.abs(sums) > normal_mixture_bound(v, **TUNED)).any(axis=1))
        assert crossed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / walks)
        assert crossed > 0.005

    def test_far_below_zero_the_one_sided_value_stays_finite(self):
        assert np.isfinite(normal_mixture_log_value(-1e6, 100, **TUNED, sides=1))


class TestBetaBinomialMixture:
    @pytest.mark.parametrize("sides", [1, 2])
    @pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 10), (40, 60), (0, 500)])
    def test_expected_next_value_under_the_null_is_the_present_one(self, sides, successes, trials):
        p = 0.3

        def value(k, n):
            s, v = k - n * p, n * p * (1 - p)
            return np.exp(beta_binomial_log_value(s, v, v_opt=10, alpha=0.05, g=p, h=1 - p, sides=sides))

        following = p * value(successes + 1, trials + 1) + (1 - p) * value(successes, trials + 1)
        assert following == pytest.approx(value(successes, trials), rel=1e-9)

    def test_no_trial_is_no_evidence(self):
        assert beta_binomial_log_value(0, 0, **COIN) == pytest.approx(0, abs=1e-12)

    @quick
    @given(st.floats(1, 1e4), st.floats(1, 1e3), st.floats(1e-3, 0.3), st.floats(0.05, 0.95), st.sampled_from([1, 2]))
    def test_value_at_the_bound_is_one_over_alpha_unless_no_sum_can_reach_it(self, v, v_opt, alpha, p, sides):
        tuned = {"v_opt": v_opt, "alpha": alpha, "g": p, "h": 1 - p, "sides": sides}
        bound = beta_binomial_bound(v, **tuned)
        value = beta_binomial_log_value(bound, v, **tuned)
        if bound < v / p * (1 - 1e-12):
            assert value == pytest.approx(-np.log(alpha), abs=1e-6)
        else:
            assert value <= -np.log(alpha) + 1e-6

    def test_one_sided_value_stays_finite_where_the_incomplete_beta_underflows(self):
        p, n = 0.5, 20_000
        tuned = {"v_opt": 100, "alpha": 0.05, "g": p, "h": 1 - p, "sides": 1}
        values = beta_binomial_log_value(np.array([-0.5, -0.4, -0.3, -0.2, -0.1]) * n, n * p * (1 - p), **tuned)
        assert np.isfinite(values).all()
        assert (np.diff(values) > 0).all()

    def test_tail_series_continues_the_incomplete_beta(self):
        a, b, n = 3000, 20, 3019
        tail = sum(comb(n, k) for k in range(a, n + 1))  # / 2^n = P(n coins show a heads or more) = I(a, b, 1/2)
        expected = log(tail) - n * log(2) - log(a * comb(n, a))
        assert betainc(a, b, 0.5) == 0
        assert float(_log_incomplete_beta(a, b, 0.5)) == pytest.approx(expected, rel=1e-12)

    def test_sum_that_no_path_can_reach_is_refused(self):
        with pytest.raises(InputError, match="`s` leaves"):
            beta_binomial_log_value(600, 100, **COIN)


class TestEdges:
    @pytest.mark.parametrize(
        ("call", "named"),
        [
            (lambda: best_rho(0, 0.05), "`v_opt` is 0"),
            (lambda: best_rho(1, 1.5), "`alpha` is 1.5"),
            (lambda: normal_mixture_log_value(np.nan, 1, **TUNED), "`s` holds a value that is NaN"),
            (lambda: normal_mixture_bound([1, -1], **TUNED), "`v` holds -1"),
            (lambda: normal_mixture_bound(1, **TUNED, sides=3), "`sides` is 3"),
            (lambda: normal_mixture_bound(1, v_opt=1, alpha=0.5, sides=1), "`alpha` is 0.5"),
            (lambda: beta_binomial_bound(1, **TUNED, g=0, h=1), "`g` is 0"),
        ],
    )
    def test_unusable_numbers_are_refused_by_name(self, call, named):
        with pytest.raises(InputError, match=named):
            call()
