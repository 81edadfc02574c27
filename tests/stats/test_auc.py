"""DeLong's test and the clustered AUC."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sluicegate.errors import InputError
from sluicegate.stats import delong_covariance, delong_test

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def comparisons(draw):
    """Labels with at least two of each class and two integer score vectors full of ties."""
    n = draw(st.integers(4, 40))
    y = np.array([0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 4, max_size=n - 4))])
    scores = st.lists(st.integers(-5, 5), min_size=n, max_size=n)
    return y, np.array(draw(scores), dtype=float), np.array(draw(scores), dtype=float)


def brute_force(y, champion, candidate):
    """DeLong's covariance written from its definition, O(m n)."""
    kernels = []
    for scores in (champion, candidate):
        up, down = scores[y == 1][:, None], scores[y == 0][None, :]
        kernels.append((up > down) + 0.5 * (up == down))
    aucs = np.array([kernel.mean() for kernel in kernels])
    by_positive = np.cov([kernel.mean(axis=1) for kernel in kernels]) / (y == 1).sum()
    by_negative = np.cov([kernel.mean(axis=0) for kernel in kernels]) / (y == 0).sum()
    return aucs, by_positive + by_negative


def obuchowski_brute_force(y, scores, clusters):
    """Obuchowski 1997 from its equations, one model."""
    up, down = scores[y == 1][:, None], scores[y == 0][None, :]
    kernel = (up > down) + 0.5 * (up == down)
    auc, m, n = kernel.mean(), (y == 1).sum(), (y == 0).sum()
    labels = np.unique(clusters)
    tens, ones = [], []
    for label in labels:
        inside_up, inside_down = clusters[y == 1] == label, clusters[y == 0] == label
        tens.append(kernel.mean(axis=1)[inside_up].sum() - inside_up.sum() * auc)
        ones.append(kernel.mean(axis=0)[inside_down].sum() - inside_down.sum() * auc)
    tens, ones = np.array(tens), np.array(ones)
    i10, i01, i = np.unique(clusters[y == 1]).size, np.unique(clusters[y == 0]).size, labels.size
    s10 = i10 / ((i10 - 1) * m) * (tens @ tens)
    s01 = i01 / ((i01 - 1) * n) * (ones @ ones)
    s11 = i / (i - 1) * (tens @ ones)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


class TestPublished:
    def test_asah_of_proc_is_reproduced(self, asah):
        result = delong_test(asah.outcome, asah.s100b, asah.wfns)
        assert result.auc_candidate == pytest.approx(0.8236788618, rel=1e-9)
        assert result.auc_champion == pytest.approx(0.7313685637, rel=1e-9)
        assert result.z == pytest.approx(2.20898359, rel=1e-8)
        assert result.p_value == pytest.approx(0.02717578, rel=1e-6)
        assert result.ci == pytest.approx((0.01040618, 0.17421442), rel=1e-6)

    def test_covariance_and_test_agree_on_asah(self, asah):
        aucs, covariance = delong_covariance(asah.outcome, np.array([asah.s100b, asah.wfns]))
        result = delong_test(asah.outcome, asah.s100b, asah.wfns)
        contrast = np.array([-1, 1])
        assert contrast @ aucs == pytest.approx(result.difference)
        assert np.sqrt(contrast @ covariance @ contrast) == pytest.approx(result.standard_error)

    def test_every_row_its_own_cluster_equals_the_unclustered_test(self, asah):
        plain = delong_test(asah.outcome, asah.s100b, asah.wfns)
        clustered = delong_test(asah.outcome, asah.s100b, asah.wfns, clusters=np.arange(asah.outcome.size))
        assert clustered.standard_error == pytest.approx(plain.standard_error, rel=1e-12)


class TestAgainstTheDefinition:
    @quick
    @given(comparisons())
    def test_fast_ranks_equal_the_definition(self, data):
        y, champion, candidate = data
        aucs, covariance = brute_force(y, champion, candidate)
        fast_aucs, fast_covariance = delong_covariance(y, np.array([champion, candidate]))
        assert fast_aucs == pytest.approx(aucs, abs=1e-12)
        assert fast_covariance == pytest.approx(covariance, abs=1e-12)
        assert fast_aucs[0] == pytest.approx(roc_auc_score(y, champion))

    @quick
    @given(comparisons(), st.integers(0, 100))
    def test_clustered_variance_equals_obuchowskis_equations(self, data, seed):
        y, scores, _ = data
        clusters = np.random.default_rng(seed).integers(0, 6, y.size)
        clusters[:4] = [0, 1, 0, 1]
        _, covariance = delong_covariance(y, scores, clusters=clusters)
        assert covariance[0, 0] == pytest.approx(obuchowski_brute_force(y, scores, clusters), abs=1e-12)


class TestInvariance:
    @quick
    @given(comparisons(), st.randoms(use_true_random=False))
    def test_order_of_rows_does_not_matter(self, data, random):
        y, champion, candidate = data
        order = list(range(y.size))
        random.shuffle(order)
        plain, shuffled = delong_test(y, champion, candidate), delong_test(y[order], champion[order], candidate[order])
        assert shuffled.difference == plain.difference
        assert shuffled.standard_error == pytest.approx(plain.standard_error, abs=1e-12)

    @quick
    @given(comparisons())
    def test_monotone_rescaling_of_one_models_scores_changes_nothing(self, data):
        y, champion, candidate = data
        assert delong_test(y, champion, candidate**3 / 7 + 100) == delong_test(y, champion, candidate)

    @quick
    @given(comparisons())
    def test_swapping_champion_and_candidate_turns_the_sign(self, data):
        y, champion, candidate = data
        forward, backward = delong_test(y, champion, candidate), delong_test(y, candidate, champion)
        assert backward.difference == -forward.difference
        assert backward.standard_error == pytest.approx(forward.standard_error, abs=1e-15)
        assert backward.p_value == pytest.approx(forward.p_value, abs=1e-12)
        assert backward.ci == pytest.approx((-forward.ci[1], -forward.ci[0]), abs=1e-12)

    @quick
    @given(comparisons())
    def test_equal_rankings_give_difference_zero_and_p_one(self, data):
        y, champion, _ = data
        result = delong_test(y, champion, 5 * champion - 2)
        assert (result.difference, result.standard_error, result.z, result.p_value) == (0, 0, 0, 1)


class TestEdges:
    def test_all_scores_tied_give_one_half_and_no_error(self):
        result = delong_test([0, 0, 1, 1], [3, 3, 3, 3], [7, 7, 7, 7])
        assert (result.auc_champion, result.difference, result.p_value) == (0.5, 0, 1)

    def test_infinite_scores_are_ranked(self):
        assert delong_test([0, 0, 1, 1], [1, 2, 3, 4], [-np.inf, 0, 1, np.inf]).auc_candidate == 1

    def test_zero_variance_with_a_difference_gives_infinite_z(self):
        result = delong_test([0, 0, 1, 1], [4, 3, 2, 1], [1, 2, 3, 4])
        assert (result.z, result.p_value, result.ci) == (np.inf, 0, (1, 1))

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (([0, 0, 0], [1, 2, 3], [1, 2, 3]), "`y` holds only 0"),
            (([1, 1, 1], [1, 2, 3], [1, 2, 3]), "`y` holds only 1"),
            (([0, 1, 2], [1, 2, 3], [1, 2, 3]), "`y` holds 2 at index 2"),
            (([0, 1, 1], [1, np.nan, 3], [1, 2, 3]), "`champion` holds 1 values that are not finite.*index 1"),
            (([0, 1, 1], [1, 2, 3], [1, 2, np.nan]), "`candidate`.*NaN"),
            (([0, 1, np.nan], [1, 2, 3], [1, 2, 3]), "`y`.*NaN"),
            (([0, 1, 1], [1, 2], [1, 2, 3]), "`champion` has 2 rows where 3"),
            (([0, 1, 1], [1, 2, 3], [1, 2, 3]), "variance of an AUC needs two of each"),
            (([0, 1], [[1, 2]], [1, 2]), "`champion` has 2 dimensions"),
            (([0, 1], ["a", "b"], [1, 2]), "`champion`.*not numbers"),
            (([], [], []), "`y` has 0 rows"),
        ],
    )
    def test_unusable_input_is_refused_by_name(self, arguments, named):
        with pytest.raises(InputError, match=named):
            delong_test(*arguments)

    @pytest.mark.parametrize(
        ("clusters", "named"),
        [
            ([7, 7, 7, 7], "`clusters` holds one cluster only"),
            ([0, 1, 2, 2], "class 1 occurs in 1 and class 0 in 2 clusters"),
            (["a", "b", None, "a"], "`clusters` is missing.*index 2"),
            ([0, 1, 2], "`clusters` has 3 rows where 4"),
        ],
    )
    def test_clusters_that_carry_no_variance_are_refused(self, clusters, named):
        with pytest.raises(InputError, match=named):
            delong_test([0, 0, 1, 1], [1, 2, 3, 4], [1, 3, 2, 4], clusters=clusters)

    def test_alpha_outside_zero_and_one_is_refused(self):
        with pytest.raises(InputError, match="`alpha` is 1"):
            delong_test([0, 0, 1, 1], [1, 2, 3, 4], [1, 3, 2, 4], alpha=1)

    def test_clusters_may_be_named_by_text(self):
        y, champion, candidate = [0, 1, 0, 1, 0, 1], [1, 2, 3, 4, 5, 6], [2, 1, 3, 5, 4, 6]
        by_text = delong_test(y, champion, candidate, clusters=["x", "x", "y", "y", "z", "z"])
        for clusters in ([5, 5, -3, -3, 10**9, 10**9], np.array([2**63 + k for k in (1, 1, 2, 2, 9, 9)], dtype=np.uint64)):
            assert by_text == delong_test(y, champion, candidate, clusters=clusters)

    def test_two_clusters_may_be_true_and_false(self):
        y, champion, candidate = [0, 1, 0, 1], [1, 2, 3, 4], [2, 1, 3, 4]
        halves = delong_test(y, champion, candidate, clusters=[True, True, False, False])
        assert halves == delong_test(y, champion, candidate, clusters=[1, 1, 2, 2])


def test_clustered_rows_keep_the_level_where_the_row_test_does_not():
    rng = np.random.default_rng(20)
    rejected_rows = rejected_clusters = 0
    repeats, customers, rows = 300, 60, 10
    clusters = np.repeat(np.arange(customers), rows)
    for _ in range(repeats):
        y = np.repeat(rng.random(customers) < 0.5, rows)
        # Two equally good models whose scores are nearly constant per customer.
        champion, candidate = (y + np.repeat(rng.normal(size=customers), rows) + 0.1 * rng.normal(size=y.size) for _ in "ab")
        rejected_rows += delong_test(y, champion, candidate).p_value <= 0.05
        rejected_clusters += delong_test(y, champion, candidate, clusters=clusters).p_value <= 0.05
    # Binomial(300, 0.06): 0.06 + 3 standard errors = 0.101; the row test is off by far.
    assert rejected_clusters / repeats < 0.101
    assert rejected_rows / repeats > 0.3
