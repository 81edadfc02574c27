"""Always-valid comparison of a quantile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln

from sluicegate.errors import InputError
from sluicegate.stats import best_rho, quantile_ab_p_value

quick = settings(max_examples=60, deadline=None, derandomize=True)
samples = st.lists(st.integers(0, 12), min_size=1, max_size=25)


def by_definition(a, b, q, t_opt, alpha):
    """1 / min over x of the product of both arms' e-values, each at the friendliest share between P(X < x) and P(X <= x)."""
    r = max(best_rho(t_opt * q * (1 - q), alpha) - q * (1 - q), 1e-3 * q * (1 - q))

    def log_value(share, n):
        up, down = n * share, n * (1 - share)
        prior = r / q, r / (1 - q)
        return betaln(prior[0] + down, prior[1] + up) - betaln(*prior) - up * np.log(q) - down * np.log(1 - q)

    points = np.union1d(a, b)
    gaps = np.concatenate(([points[0] - 1], (points[1:] + points[:-1]) / 2, [points[-1] + 1]))
    smallest = np.inf
    for x in np.concatenate((points, gaps)):
        total = 0.0
        for arm in (np.asarray(a), np.asarray(b)):
            shares = np.linspace((arm < x).mean(), (arm <= x).mean(), 2001)
            total += log_value(shares, arm.size).min()
        smallest = min(smallest, total)
    return min(1.0, np.exp(-smallest))


def test_example_of_the_confseq_manual():
    # quantile_ab_p_value(1:1000, 86:1085, .5, 100) in R.
    p_value = quantile_ab_p_value(np.arange(1, 1001), np.arange(86, 1086), 0.5, t_opt=100, alpha=0.05)
    assert p_value == pytest.approx(0.0838054952, rel=1e-6)


@quick
@given(samples, samples, st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([20, 200]))
def test_p_value_equals_the_definition(a, b, q, t_opt):
    expected = by_definition(a, b, q, t_opt, 0.05)
    assert quantile_ab_p_value(a, b, q, t_opt=t_opt, alpha=0.05) == pytest.approx(expected, rel=1e-3)


@quick
@given(samples, samples)
def test_swapping_the_arms_and_rescaling_monotonically_changes_nothing(a, b):
    p_value = quantile_ab_p_value(a, b, 0.5, t_opt=50, alpha=0.05)
    assert quantile_ab_p_value(b, a, 0.5, t_opt=50, alpha=0.05) == pytest.approx(p_value, rel=1e-12)
    assert quantile_ab_p_value(np.exp(a), np.exp(b), 0.5, t_opt=50, alpha=0.05) == pytest.approx(p_value, rel=1e-12)
    assert quantile_ab_p_value(a[::-1], b[::-1], 0.5, t_opt=50, alpha=0.05) == p_value


@quick
@given(samples, st.sampled_from([0.05, 0.5, 0.95]))
def test_a_sample_against_itself_is_no_evidence(a, q):
    assert quantile_ab_p_value(a, a, q, t_opt=50, alpha=0.05) == 1


def test_slower_tail_is_found_and_equal_tails_are_not():
    rng = np.random.default_rng(1)
    champion, candidate = rng.lognormal(3, 0.5, 20_000), rng.lognormal(3, 0.5, 20_000)
    assert quantile_ab_p_value(champion, candidate, 0.95, t_opt=10_000, alpha=0.05) > 0.05
    assert quantile_ab_p_value(champion, 1.1 * candidate, 0.95, t_opt=10_000, alpha=0.05) < 1e-4


def test_false_alarms_over_many_looks_stay_below_alpha():
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(150):
        a, b = rng.exponential(size=(2, 400))
        alarms += any(quantile_ab_p_value(a[:n], b[:n], 0.8, t_opt=200, alpha=0.05) <= 0.05 for n in range(20, 401, 20))
    assert alarms / 150 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.parametrize(
    ("a", "b", "q", "options", "named"),
    [
        ([1, np.nan], [1], 0.5, {}, "`a`.*NaN"),
        ([1], [], 0.5, {}, "`b` has 0 rows"),
        ([1], [2], 1.0, {}, "`q` is 1"),
        ([1], [2], 0.5, {"t_opt": 0}, "`t_opt` is 0"),
        ([1], [2], 0.5, {"alpha": 0}, "`alpha` is 0"),
    ],
)
def test_unusable_input_is_refused_by_name(a, b, q, options, named):
    with pytest.raises(InputError, match=named):
        quantile_ab_p_value(a, b, q, **{"t_opt": 50, "alpha": 0.05, **options})
