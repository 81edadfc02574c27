"""Adjusted p-values."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import InputError
from sluicegate.stats import benjamini_hochberg, harmonic_spending, holm, hommel

quick = settings(max_examples=60, deadline=None, derandomize=True)
families = st.lists(st.floats(0, 1).map(lambda p: round(p, 4)), min_size=1, max_size=6)

# Thrombolysis trials, Benjamini and Hochberg 1995, section 4.
BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]


def closed_test(p_values, local):
    """Adjusted p-values by the closure principle: the largest local p of all sets that hold the hypothesis."""
    k = len(p_values)
    sets = [s for size in range(1, k + 1) for s in combinations(range(k), size)]
    return [max(local([p_values[j] for j in s]) for s in sets if i in s) for i in range(k)]


def bonferroni(p_values):
    return min(1.0, min(p_values) * len(p_values))


def simes(p_values):
    return min(len(p_values) * p / rank for rank, p in enumerate(sorted(p_values), 1))


def test_benjamini_hochberg_1995_thrombolysis():
    assert (holm(BH_1995) <= 0.05).sum() == 3
    assert (benjamini_hochberg(BH_1995) <= 0.05).sum() == 4


@pytest.mark.parametrize(("adjust", "method"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh"), (hommel, "hommel")])
def test_statsmodels_gives_the_same(adjust, method):
    from statsmodels.stats.multitest import multipletests

    shuffled = np.random.default_rng(0).permutation([*BH_1995, 0.0278, 0.0])
    assert adjust(shuffled) == pytest.approx(multipletests(shuffled, method=method)[1], rel=1e-12)


@quick
@given(families)
def test_holm_is_the_closed_bonferroni_test(p_values):
    assert holm(p_values) == pytest.approx(closed_test(p_values, bonferroni), abs=1e-12)


@quick
@given(families)
def test_hommel_is_the_closed_simes_test(p_values):
    assert hommel(p_values) == pytest.approx(closed_test(p_values, simes), abs=1e-12)


@quick
@given(families)
def test_no_adjustment_lowers_a_p_and_hommel_never_exceeds_holm(p_values):
    assert (hommel(p_values) <= holm(p_values) + 1e-12).all()
    for adjust in (holm, hommel, benjamini_hochberg):
        assert (adjust(p_values) >= np.array(p_values) - 1e-12).all()
        assert adjust(p_values[::-1])[::-1] == pytest.approx(adjust(p_values), abs=1e-12)


@pytest.mark.parametrize("adjust", [holm, hommel, benjamini_hochberg])
@pytest.mark.parametrize(("p_values", "named"), [([0.1, np.nan], "NaN"), ([1.2], r"\[1.2, 1.2\]"), ([], "0 rows")])
def test_what_is_no_p_value_is_refused(adjust, p_values, named):
    with pytest.raises(InputError, match=f"`p_values`.*{named}"):
        adjust(p_values)


class TestSpending:
    @pytest.mark.parametrize("looks", [1, 2, 52, 365])
    def test_shares_of_a_family_sum_to_one_and_fall(self, looks):
        shares = [harmonic_spending(look, looks) for look in range(1, looks + 1)]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)

    def test_after_a_family_the_next_one_begins(self):
        assert harmonic_spending(53, 52) == harmonic_spending(1, 52)

    @pytest.mark.parametrize(("look", "looks", "named"), [(0, 52, "`look` is 0"), (1, 0, "`looks` is 0"), (1.5, 52, "whole")])
    def test_what_is_no_look_is_refused(self, look, looks, named):
        with pytest.raises(InputError, match=named):
            harmonic_spending(look, looks)
