"""Paired bootstrap and the metrics it can condense."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn import metrics as reference

from sluicegate.errors import InputError
from sluicegate.stats import delong_test, evaluate, paired_bootstrap

quick = settings(max_examples=40, deadline=None, derandomize=True)

CLASSIFICATION = {
    "auc": reference.roc_auc_score,
    "average_precision": reference.average_precision_score,
    "log_loss": reference.log_loss,
    "brier": reference.brier_score_loss,
    "accuracy": lambda y, p: reference.accuracy_score(y, np.asarray(p) >= 0.5),
}
REGRESSION = {
    "mae": reference.mean_absolute_error,
    "mse": reference.mean_squared_error,
    "rmse": reference.root_mean_squared_error,
    "quantile_loss": reference.mean_pinball_loss,
}


def classified(seed, n=60):
    """Labels and two vectors of probabilities with ties."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 3 == 0).astype(int)
    champion, candidate = (np.round(1 / (1 + np.exp(-(y + rng.normal(size=n)))), 1) for _ in "ab")
    return y, np.clip(champion, 0.05, 0.95), np.clip(candidate, 0.05, 0.95)


def forecast(seed, n=60):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return y, y + rng.normal(size=n), y + 0.8 * rng.normal(size=n)


class TestMetrics:
    @pytest.mark.parametrize("name", CLASSIFICATION)
    def test_scikit_learn_computes_the_same_classification_metric(self, name):
        y, champion, _ = classified(1)
        assert evaluate(name, y, champion) == pytest.approx(CLASSIFICATION[name](y, champion), rel=1e-12)

    @pytest.mark.parametrize("name", REGRESSION)
    def test_scikit_learn_computes_the_same_regression_metric(self, name):
        y, champion, _ = forecast(1)
        assert evaluate(name, y, champion) == pytest.approx(REGRESSION[name](y, champion), rel=1e-12)

    def test_quantile_loss_takes_its_quantile(self):
        y, champion, _ = forecast(2)
        expected = reference.mean_pinball_loss(y, champion, alpha=0.9)
        assert evaluate("quantile_loss", y, champion, quantile=0.9) == pytest.approx(expected)

    def test_log_loss_of_a_failed_certainty_is_finite(self):
        assert np.isfinite(evaluate("log_loss", [0, 1], [1.0, 1.0]))

    def test_unknown_metric_is_refused_with_the_known_ones(self):
        with pytest.raises(InputError, match=r"'gini'.*auc, average_precision.*quantile_loss"):
            evaluate("gini", [0, 1], [0.1, 0.2])


class TestSmallSamples:
    def test_asah_standard_error_is_within_five_percent_of_delong(self, asah):
        resampled = paired_bootstrap("auc", asah.outcome, asah.s100b, asah.wfns, seed=1)
        expected = delong_test(asah.outcome, asah.s100b, asah.wfns)
        assert resampled.difference == pytest.approx(expected.difference)
        assert resampled.standard_error == pytest.approx(expected.standard_error, rel=0.05)

    @pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
    def test_condensed_metric_equals_the_callable_on_the_same_resamples(self, name):
        y, champion, candidate = classified(3) if name in CLASSIFICATION else forecast(3)
        function = {**CLASSIFICATION, **REGRESSION}[name]
        better = name in ("auc", "average_precision", "accuracy")
        condensed = paired_bootstrap(name, y, champion, candidate, resamples=60, seed=5)
        direct = paired_bootstrap(function, y, champion, candidate, resamples=60, seed=5, higher_is_better=better)
        assert condensed.exact
        assert condensed.standard_error == pytest.approx(direct.standard_error, rel=1e-9)
        assert condensed.ci == pytest.approx(direct.ci, rel=1e-9, abs=1e-12)

    def test_scipy_bca_interval_is_reproduced(self):
        y, champion, candidate = forecast(4, 40)
        losses = np.abs(y - champion), np.abs(y - candidate)
        scipy = bootstrap(
            losses, lambda a, b, axis: (a - b).mean(axis=axis), paired=True, vectorized=True, n_resamples=40_000, rng=1
        )
        ours = paired_bootstrap("mae", y, champion, candidate, resamples=40_000, seed=1)
        assert ours.standard_error == pytest.approx(scipy.standard_error, rel=0.02)
        assert ours.ci == pytest.approx(tuple(scipy.confidence_interval), abs=0.03 * ours.standard_error * 3)

    def test_clusters_are_drawn_whole(self):
        y, champion, candidate = forecast(5, 40)
        codes = np.repeat(np.arange(8), 5)
        resampled = paired_bootstrap("mse", y, champion, candidate, clusters=codes, resamples=8000, seed=1)
        gaps = ((y - champion) ** 2 - (y - candidate) ** 2).reshape(8, 5).mean(axis=1)
        assert resampled.units == 8
        assert resampled.standard_error == pytest.approx(gaps.std() / np.sqrt(8), rel=0.03)

    def test_undefined_resamples_are_left_out(self):
        y, champion, candidate = classified(6, 12)
        result = paired_bootstrap("auc", y, champion, candidate, seed=1)
        assert 0.9 * 2000 < result.resamples < 2000


class TestOrientation:
    def test_lower_loss_of_the_candidate_is_a_positive_difference(self):
        y, champion = np.array([0.0, 1, 2, 3]), np.array([1.0, 2, 3, 5])
        result = paired_bootstrap("mae", y, champion, y + 0.5, resamples=50, seed=1)
        assert (result.champion, result.candidate) == pytest.approx((1.25, 0.5))
        assert result.difference == pytest.approx(0.75)

    @quick
    @given(st.integers(0, 1000), st.sampled_from([*CLASSIFICATION, *REGRESSION]), st.sampled_from(["bca", "percentile"]))
    def test_swapping_champion_and_candidate_mirrors_everything(self, seed, name, method):
        y, champion, candidate = classified(seed, 30) if name in CLASSIFICATION else forecast(seed, 30)
        forward = paired_bootstrap(name, y, champion, candidate, resamples=50, seed=2, method=method)
        backward = paired_bootstrap(name, y, candidate, champion, resamples=50, seed=2, method=method)
        assert backward.difference == -forward.difference
        assert backward.standard_error == pytest.approx(forward.standard_error)
        assert backward.ci == pytest.approx((-forward.ci[1], -forward.ci[0]), abs=1e-9)

    @quick
    @given(st.integers(0, 1000))
    def test_monotone_rescaling_changes_no_rank_metric(self, seed):
        y, champion, candidate = classified(seed, 30)
        plain = paired_bootstrap("auc", y, champion, candidate, resamples=50, seed=2)
        assert paired_bootstrap("auc", y, champion**3, 9 * candidate, resamples=50, seed=2) == plain


@pytest.mark.slow
class TestLargeSamples:
    def test_condensed_bootstrap_agrees_with_the_exact_one(self):
        rng = np.random.default_rng(8)
        n = 9000
        y = rng.random(n) < 0.2
        champion = rng.normal(size=n) + y
        candidate = champion + 0.5 * rng.normal(size=n)
        for metric in ("auc", "average_precision"):
            fast = paired_bootstrap(metric, y, champion, candidate, resamples=500, seed=1)
            slow = paired_bootstrap(metric, y, champion, candidate, resamples=500, seed=1, exact=True)
            assert not fast.exact
            assert slow.exact
            assert fast.difference == slow.difference
            assert fast.binning_error < 0.05 * slow.standard_error
            # Two standard errors from 500 resamples differ by 1 / sqrt(500) = 4.5 % of sampling error.
            assert fast.standard_error == pytest.approx(slow.standard_error, rel=0.15)

    def test_a_hundred_thousand_rows_lose_nothing_that_matters_by_binning(self):
        rng = np.random.default_rng(10)
        n = 100_000
        y = rng.random(n) < 0.05
        champion = rng.normal(size=n) + 1.2 * y
        candidate = champion + 0.4 * rng.normal(size=n)
        exact = delong_test(y, champion, candidate)
        for metric in ("auc", "average_precision"):
            found = paired_bootstrap(metric, y, champion, candidate, resamples=400, seed=1)
            assert found.difference == evaluate(metric, y, candidate) - evaluate(metric, y, champion)
            assert 0 < found.binning_error < 0.02 * found.standard_error
            if metric == "auc":  # 400 resamples know their standard error to 1 / sqrt(800) = 3.5 %
                assert found.standard_error == pytest.approx(exact.standard_error, rel=0.15)

    def test_many_clusters_are_grouped_without_losing_their_correlation(self):
        rng = np.random.default_rng(9)
        clusters = np.repeat(np.arange(10_000), 3)
        shared = np.repeat(rng.normal(size=10_000), 3)
        y = np.zeros(30_000)
        result = paired_bootstrap("mae", y, 2 + 0.1 * shared, np.full(30_000, 2.0), clusters=clusters, resamples=1000, seed=1)
        assert result.units == 4096
        assert result.standard_error == pytest.approx(0.1 / np.sqrt(10_000), rel=0.12)


class TestEdges:
    def test_same_inputs_and_seed_give_the_same_result_bit_for_bit(self):
        inputs = classified(7)
        assert paired_bootstrap("auc", *inputs, seed=3) == paired_bootstrap("auc", *inputs, seed=3)
        assert paired_bootstrap("auc", *inputs, seed=3) != paired_bootstrap("auc", *inputs, seed=4)

    def test_equal_models_have_difference_and_error_zero(self):
        y, champion, _ = classified(8)
        result = paired_bootstrap("auc", y, champion, 2 * champion, seed=1)
        assert (result.difference, result.standard_error, result.ci) == (0, 0, (0, 0))

    @pytest.mark.parametrize(
        ("arguments", "options", "named"),
        [
            (("auc", [0, 0, 0], [1, 2, 3], [1, 2, 3]), {}, "`y` holds only 0"),
            (("brier", [0, 1], [0.2, 1.2], [0.1, 0.3]), {}, r"`champion` ranges over \[0.2, 1.2\]"),
            (("mae", [0, 1], [1, 2], [1, np.nan]), {}, "`candidate`.*NaN"),
            (("mae", [0, 1], [1, 2], [1, 2, 3]), {}, "`candidate` has 3 rows where 2"),
            (("mae", [0, 1], [1, 2], [2, 1]), {"clusters": [1, 1]}, "`clusters` holds one cluster only"),
            (("mae", [0, 1], [1, 2], [2, 1]), {"resamples": 1}, "`resamples` is 1"),
            (("mae", [0, 1], [1, 2], [2, 1]), {"method": "basic"}, "`method` is 'basic'"),
            (("quantile_loss", [0, 1], [1, 2], [2, 1]), {"quantile": 1}, "`quantile` is 1"),
            (("auc", [0, 0, 0, 1], [1, 2, 3, 4], [1, 2, 4, 3]), {}, "`metric` auc is undefined in"),
            ((reference.mean_absolute_error, [0, np.nan], [1, 2], [2, 1]), {}, "`y`.*NaN"),
        ],
    )
    def test_unusable_input_is_refused_by_name(self, arguments, options, named):
        with pytest.raises(InputError, match=named):
            paired_bootstrap(*arguments, seed=1, **options)


class TestWeights:
    @pytest.mark.parametrize("name", ["auc", "average_precision", "brier"])
    def test_a_row_of_weight_two_counts_as_two_rows(self, name):
        rng = np.random.default_rng(5)
        y, old, new = rng.integers(0, 2, 300), rng.random(300).round(2), rng.random(300).round(2)
        heavy = rng.integers(1, 4, 300)
        unit = np.arange(300)
        weighted = paired_bootstrap(name, y, old, new, clusters=unit, weights=heavy, resamples=200, seed=1)
        repeated = [np.repeat(values, heavy) for values in (y, old, new, unit)]
        plain = paired_bootstrap(name, *repeated[:3], clusters=repeated[3], resamples=200, seed=1)
        assert weighted.champion == pytest.approx(plain.champion)
        assert weighted.difference == pytest.approx(plain.difference)
        assert weighted.standard_error == pytest.approx(plain.standard_error)

    @pytest.mark.parametrize(
        ("metric", "weights", "named"),
        [
            ("auc", [1.0] * 5 + [-1.0], "`weights` holds -1"),
            ("auc", [0.0] * 6, "all 0"),
            ("auc", [1.0], "`weights` has 1 rows"),
            (lambda y, s: float(np.mean(s)), [1.0] * 6, "choose a metric by name"),
        ],
    )
    def test_unusable_weights_are_refused(self, metric, weights, named):
        y, scores = [0, 1, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
        with pytest.raises(InputError, match=named):
            paired_bootstrap(metric, y, scores, scores, weights=weights, seed=0)
