"""Calibration tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from sluicegate.errors import InputError
from sluicegate.stats import calibration_line, spiegelhalter_test

quick = settings(max_examples=60, deadline=None, derandomize=True)


def sample(seed, n=2000, intercept=0.0, slope=1.0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.2, n)
    p = 1 / (1 + np.exp(-logit))
    return (rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * logit)))).astype(int), p


class TestSpiegelhalter:
    def test_formula_by_hand(self):
        y, p = np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.9, 0.4])
        expected = ((y - p) * (1 - 2 * p)).sum() / np.sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
        assert spiegelhalter_test(y, p).z == pytest.approx(expected)

    def test_calibrated_probabilities_keep_the_level(self):
        rejected = sum(spiegelhalter_test(*sample(seed, 400)).p_value <= 0.05 for seed in range(600))
        assert rejected / 600 == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 / 600))

    def test_too_sure_is_positive_and_too_timid_negative(self):
        assert spiegelhalter_test(*sample(1, slope=0.6)).z > 2
        assert spiegelhalter_test(*sample(1, slope=1.6)).z < -2

    @quick
    @given(st.integers(0, 1000))
    def test_relabelling_the_classes_changes_nothing(self, seed):
        y, p = sample(seed, 50)
        assert spiegelhalter_test(1 - y, 1 - p).z == pytest.approx(spiegelhalter_test(y, p).z)

    def test_coin_probabilities_say_nothing(self):
        result = spiegelhalter_test([0, 1, 1], [0.5, 0.5, 0.5])
        assert (result.z, result.p_value) == (0, 1)

    def test_certainty_that_failed_is_infinitely_far_off(self):
        assert spiegelhalter_test([0, 1], [1.0, 1.0]).z == np.inf

    def test_one_class_only_is_allowed(self):
        variance = 0.8**2 * 0.1 * 0.9 + 0.6**2 * 0.2 * 0.8
        assert spiegelhalter_test([0, 0], [0.1, 0.2]).z == pytest.approx((-0.1 * 0.8 - 0.2 * 0.6) / np.sqrt(variance))

    def test_clustered_outcomes_keep_the_level_where_rows_do_not(self):
        rng = np.random.default_rng(9)
        by_row = by_cluster = 0
        for _ in range(300):
            p = np.repeat(rng.uniform(0.05, 0.4, 60), 10)
            y = np.repeat(rng.random(60), 10) < p
            by_row += spiegelhalter_test(y, p).p_value <= 0.05
            by_cluster += spiegelhalter_test(y, p, clusters=np.repeat(np.arange(60), 10)).p_value <= 0.05
        assert by_row / 300 > 0.3
        assert by_cluster / 300 < 0.11


class TestLine:
    def test_scikit_learn_fits_the_same_line(self):
        y, p = sample(2, 500, intercept=0.3, slope=0.8)
        logit = np.log(p / (1 - p))
        reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit[:, None], y)
        result = calibration_line(y, p)
        assert result.slope == pytest.approx(reference.coef_[0, 0], rel=1e-4)
        assert result.intercept == pytest.approx(reference.intercept_[0], rel=1e-3)

    def test_statsmodels_reports_the_same_errors(self):
        import statsmodels.api as sm

        y, p = sample(3, 500)
        logit = np.log(p / (1 - p))
        clusters = np.arange(500) // 5
        plain = sm.Logit(y, sm.add_constant(logit)).fit(disp=0)
        robust = sm.Logit(y, sm.add_constant(logit)).fit(
            disp=0, cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
        )
        result = calibration_line(y, p)
        clustered = calibration_line(y, p, clusters=clusters)
        assert (result.intercept_se, result.slope_se) == pytest.approx(tuple(plain.bse), rel=1e-6)
        few = np.sqrt(100 / 99)
        assert (clustered.intercept_se, clustered.slope_se) == pytest.approx(tuple(robust.bse * few), rel=1e-6)

    def test_true_line_lies_within_three_errors(self):
        result = calibration_line(*sample(4, 20_000, intercept=0.4, slope=0.7))
        assert abs(result.slope - 0.7) < 3 * result.slope_se
        assert abs(result.intercept - 0.4) < 3 * result.intercept_se

    def test_calibration_in_the_large_matches_the_observed_rate(self):
        y, p = sample(5, intercept=0.5)
        result = calibration_line(y, p)
        shifted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + result.in_the_large)))
        assert shifted.mean() == pytest.approx(y.mean(), rel=1e-9)
        assert (result.observed_rate, result.mean_prediction) == pytest.approx((y.mean(), p.mean()))

    @quick
    @given(st.integers(0, 1000))
    def test_relabelling_the_classes_keeps_the_slope_and_turns_the_intercept(self, seed):
        y, p = sample(seed, 200)
        result, other = calibration_line(y, p), calibration_line(1 - y, 1 - p)
        assert other.slope == pytest.approx(result.slope, rel=1e-6)
        assert other.intercept == pytest.approx(-result.intercept, rel=1e-6, abs=1e-8)

    def test_probabilities_of_zero_and_one_are_kept_from_the_edge(self):
        y, p = sample(6, 300)
        p[:2], y[:2] = [0.0, 1.0], [0, 1]
        assert np.isfinite(calibration_line(y, p).slope)

    @pytest.mark.parametrize(
        ("y", "p", "named"),
        [
            ([1, 1, 1], [0.2, 0.3, 0.4], "`y` holds only 1"),
            ([0, 1, 1], [0.3, 0.3, 0.3], "`p` is the same"),
            ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "separates the labels"),
            ([0, 1, 1], [0.2, np.nan, 0.4], "`p`.*NaN"),
            ([0, 1, 1], [0.2, 1.3, 0.4], r"`p` ranges over \[0.2, 1.3\]"),
        ],
    )
    def test_unusable_input_is_refused_by_name(self, y, p, named):
        with pytest.raises(InputError, match=named):
            calibration_line(y, p)
