"""McNemar's test, Tango's interval, and the e-value of paired decisions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from sluicegate.errors import InputError
from sluicegate.stats import mcnemar_e_value, mcnemar_log_e_value, mcnemar_test, tango_interval

quick = settings(max_examples=80, deadline=None, derandomize=True)
pairs = st.integers(0, 60)


class TestMcnemar:
    def test_agresti_approval_ratings(self):
        assert mcnemar_test(150, 86, method="chi2").statistic == pytest.approx(17.35593220, rel=1e-9)
        assert mcnemar_test(150, 86, method="corrected").statistic == pytest.approx(16.81779661, rel=1e-9)
        assert mcnemar_test(150, 86).p_value == pytest.approx(3.7159361e-05, rel=1e-7)

    def test_mid_p_of_fagerland_lydersen_laake(self):
        # Bentur et al. 2009 as analysed by Fagerland et al. 2013: exact 0.0703, mid-p 0.0391.
        assert mcnemar_test(1, 7).p_value == pytest.approx(0.0703125)
        assert mcnemar_test(1, 7, method="midp").p_value == pytest.approx(0.0390625)

    @quick
    @given(pairs, pairs)
    def test_exact_p_equals_the_binomial_test(self, b, c):
        expected = binomtest(b, b + c).pvalue if b + c else 1.0
        assert mcnemar_test(b, c).p_value == pytest.approx(expected)

    @quick
    @given(pairs, pairs, st.sampled_from(["exact", "midp", "chi2", "corrected"]))
    def test_swapping_champion_and_candidate_changes_no_p(self, b, c, method):
        forward, backward = mcnemar_test(b, c, method=method), mcnemar_test(c, b, method=method)
        assert (forward.p_value, forward.statistic) == (backward.p_value, backward.statistic)
        assert 0 <= forward.p_value <= 1

    @pytest.mark.parametrize("method", ["exact", "midp", "chi2", "corrected"])
    def test_no_discordant_pair_is_no_evidence(self, method):
        assert mcnemar_test(0, 0, method=method).p_value == 1

    def test_correction_never_turns_a_tie_into_a_difference(self):
        assert mcnemar_test(9, 9, method="corrected").statistic == 0

    @pytest.mark.parametrize(("b", "c", "named"), [(-1, 2, "`b` is -1"), (1, 2.5, "`c` is 2.5"), (np.nan, 1, "`b` is nan")])
    def test_impossible_counts_are_refused_by_name(self, b, c, named):
        with pytest.raises(InputError, match=named):
            mcnemar_test(b, c)

    def test_unknown_method_is_refused_with_the_known_ones(self):
        with pytest.raises(InputError, match=r"'fisher'.*exact, midp, chi2 or corrected"):
            mcnemar_test(1, 2, method="fisher")


class TestTango:
    def test_bentur_2009_as_published_by_fagerland(self):
        # Airway hyper-responsiveness before and after transplantation: b 1, c 7 of 21; interval -0.517 to -0.026.
        assert tango_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)

    @quick
    @given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60))
    def test_ends_are_where_the_score_test_turns(self, b, c, concordant):
        n = b + c + concordant
        low, high = tango_interval(b, c, n)
        assert -1 <= low <= (b - c) / n <= high <= 1
        for end in (low, high):
            assert tango_z(b, c, n, end) == pytest.approx(1.959964, abs=1e-4)

    @quick
    @given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60))
    def test_swapping_the_models_mirrors_the_interval(self, b, c, concordant):
        n = b + c + concordant
        low, high = tango_interval(b, c, n)
        assert tango_interval(c, b, n) == pytest.approx((-high, -low), abs=1e-12)

    def test_no_discordant_pair_still_has_a_width(self):
        square = 1.959963984540054**2
        assert tango_interval(0, 0, 10) == pytest.approx((-square / (10 + square), square / (10 + square)))

    def test_only_discordant_pairs_of_one_kind_end_at_one(self):
        square = 1.959963984540054**2
        assert tango_interval(10, 0, 10) == pytest.approx(((10 - square) / (10 + square), 1))
        assert tango_interval(0, 10, 10) == pytest.approx((-1, -(10 - square) / (10 + square)))

    def test_more_discordant_pairs_than_pairs_is_refused(self):
        with pytest.raises(InputError, match=r"`n` is 5: it must be at least b \+ c = 7"):
            tango_interval(3, 4, 5)


def tango_z(b, c, n, delta):
    """Score statistic by maximising the likelihood of (q12 = q21 + delta, q21) on a grid refined twice: no formula shared."""
    low, high = max(0.0, -delta), (1 - delta) / 2
    for _ in range(6):
        grid = np.linspace(low, high, 2001)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [(b, grid + delta), (c, grid), (n - b - c, 1 - 2 * grid - delta)]
            likelihood = sum((k * np.log(np.maximum(q, 0)) if k else np.zeros_like(grid)) for k, q in terms)
        best = int(np.argmax(likelihood))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    q21 = grid[best]
    return abs(b - c - n * delta) / np.sqrt(n * (2 * q21 + delta * (1 - delta)))


class TestEvalue:
    @pytest.mark.parametrize(("b", "c", "expected"), [(25, 15, 0.66667810), (150, 86, 512.96901)])
    def test_published_values(self, b, c, expected):
        assert mcnemar_e_value(b, c) == pytest.approx(expected, rel=1e-7)

    def test_no_pair_is_no_evidence(self):
        assert mcnemar_e_value(0, 0) == 1

    @quick
    @given(pairs, pairs)
    def test_expected_next_value_under_the_null_is_the_present_one(self, b, c):
        following = (mcnemar_e_value(b + 1, c) + mcnemar_e_value(b, c + 1)) / 2
        assert following == pytest.approx(mcnemar_e_value(b, c), rel=1e-10)

    def test_huge_counts_overflow_to_infinity_but_not_the_logarithm(self):
        assert mcnemar_e_value(10_000, 0) == np.inf
        assert mcnemar_log_e_value(10_000, 0) == pytest.approx(10_000 * np.log(2) - np.log(10_001))
