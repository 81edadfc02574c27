"""A comparison promotes an equal candidate no more often than it promises: the benchmark in small, with binomial tolerance.

A bound is the number of hits that the promised rate exceeds once in ten thousand runs of this test.
"""

import pytest
from comparison_errors import EDGE, single, spec_of, years
from scipy.stats import binom

from sluicegate.domain.spec import ModelSpec

RARE = 1e-4
COMPARISONS, YEARS = 1500, 60


@pytest.fixture
def alone() -> ModelSpec:
    """One comparison that may spend 5 %."""
    return spec_of(alpha=0.05, false_promotions=0.05, looks=1)


def test_clustered_rows_promote_an_equal_candidate_at_most_as_often_as_promised(alone: ModelSpec) -> None:
    found = single(COMPARISONS, alone, seed=11)
    assert binom.ppf(RARE, COMPARISONS, 0.04) <= found.hits <= binom.isf(RARE, COMPARISONS, 0.05)


def test_a_year_of_equal_candidates_keeps_its_budget_and_uncorrected_ones_do_not(alone: ModelSpec) -> None:
    kept = years(YEARS, spec_of(), seed=12, overlap=False)
    assert kept.hits <= binom.isf(RARE, YEARS, 0.1)
    uncorrected = years(10, spec_of(alpha=0.05, false_promotions=0.99, looks=1), seed=13, overlap=False)
    assert uncorrected.hits >= binom.ppf(RARE, 10, 0.9)


def test_holdouts_that_overlap_from_week_to_week_keep_it_too() -> None:
    assert years(YEARS, spec_of(), seed=14, overlap=True).hits <= binom.isf(RARE, YEARS, 0.1)


def test_the_first_comparison_with_a_champion_still_finds_what_is_better() -> None:
    found = single(400, spec_of(), seed=15, noise=EDGE)
    assert found.hits >= binom.ppf(RARE, 400, 0.7)
