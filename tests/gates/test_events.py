"""Sequential tests of events: literal numbers, and the error rate that they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from sluicegate.gates import events


def test_no_evidence_leaves_the_money_at_one():
    process = events.new_process(6)
    for _ in range(50):
        process = events.grow(process, np.zeros(6))
    assert process.log_value == pytest.approx(0.0, abs=1e-12)


def test_an_event_at_a_share_of_one_twentieth_multiplies_each_bet_by_its_known_odds():
    bet = events.share_evidence(1, 1, 0.05, 1.0)
    assert bet == pytest.approx(np.log((0.05 + events.LIFTS * 0.95) / 0.05))


def test_a_quiet_request_costs_each_bet_its_lift():
    assert events.share_evidence(0, 1, 0.05, 1.0) == pytest.approx(np.log(1 - events.LIFTS))


def test_an_error_of_the_candidate_at_five_percent_exposure_is_strong_and_one_of_the_champion_is_weak():
    candidate = events.arm_evidence(0, 1, 0.05, 1.0)
    champion = events.arm_evidence(1, 0, 0.05, 1.0)
    assert candidate[events.RATIOS == 10] == pytest.approx(np.log(10 / 1.45))
    assert champion[events.RATIOS == 10] == pytest.approx(-np.log(1.45))


@pytest.mark.parametrize("exposure", [0.0, 1.0])
def test_a_look_in_which_one_arm_was_not_asked_tells_nothing_about_arms(exposure):
    assert not events.arm_evidence(3, 3, exposure, 1.0).any()


def test_one_look_however_bad_adds_at_most_the_cap():
    process = events.grow(events.new_process(6), events.share_evidence(1000, 1000, 0.05, 1.0))
    assert process.log_value <= events.LOOK_CAP


def test_a_late_harm_is_found_about_as_fast_as_an_early_one():
    def looks_to_find(healthy: int) -> int:
        process = events.new_process(6)
        for _ in range(healthy):
            process = events.grow(process, events.share_evidence(0, 40, 0.05, 1.0))
        for look in range(1, 100):
            process = events.grow(process, events.share_evidence(12, 40, 0.05, 1.0))
            if process.log_value > np.log(1 / 0.0025):
                return look
        return 100

    assert looks_to_find(0) == 2
    assert looks_to_find(1000) <= 5


def test_what_was_once_proven_stays_proven():
    process = events.new_process(6)
    for bad in (20, 20, 20, 0, 0, 0, 0):
        process = events.grow(process, events.share_evidence(bad, 40, 0.05, 1.0))
    assert process.log_value < process.log_peak


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_a_share_within_the_bound_exceeds_one_over_alpha_in_at_most_alpha_of_streams(share):
    rng = np.random.default_rng(1)
    process = events.Process(np.full((4000, 6), -np.inf))
    for _ in range(200):
        process = events.grow(process, events.share_evidence(rng.binomial(10, share, 4000), 10.0, 0.05, 1.0))
    false = (process.log_peak >= np.log(1 / 0.05)).mean()
    assert false <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_equal_error_rates_exceed_one_over_alpha_in_at_most_alpha_of_streams():
    rng = np.random.default_rng(2)
    process = events.Process(np.full((4000, len(events.RATIOS)), -np.inf))
    for _ in range(200):
        champion, candidate = rng.poisson(0.95, 4000), rng.poisson(0.05, 4000)
        process = events.grow(process, events.arm_evidence(champion, candidate, 0.05, 1.0))
    false = (process.log_peak >= np.log(1 / 0.05)).mean()
    assert false <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_independent_events_are_not_overdispersed_and_one_users_events_are():
    trials = np.full(200, 10.0)
    alone = np.zeros(200)
    alone[:8] = 1
    together = np.zeros(200)
    together[0] = 8
    assert events.overdispersion(alone, trials) == pytest.approx(1.0, abs=0.05)
    assert events.overdispersion(together, trials) == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize(("events_seen", "trials"), [(0, 0), (0, 50), (1, 50), (50, 50)])
def test_too_little_variation_leaves_overdispersion_at_one(events_seen, trials):
    counts = np.zeros(200)
    counts[0] = events_seen
    asked = np.zeros(200)
    asked[0] = trials
    assert events.overdispersion(counts, asked) == 1.0


def test_no_trials_leave_a_rate_unknown():
    assert events.rate_bounds(0, 0, 0.05) == (0.0, 1.0)


def test_eighty_clean_requests_put_a_rate_below_five_percent():
    assert events.rate_bounds(0, 70, 0.05)[1] > 0.05
    assert events.rate_bounds(0, 80, 0.05)[1] < 0.05


def test_a_bound_is_where_the_prior_posterior_ratio_reaches_one_over_alpha():
    k, n, alpha = 7.0, 300.0, 0.01
    a, b = events.PRIOR
    for rate in events.rate_bounds(k, n, alpha):
        log_ratio = betaln(k + a, n - k + b) - betaln(a, b) - k * np.log(rate) - (n - k) * np.log1p(-rate)
        assert log_ratio == pytest.approx(np.log(1 / alpha), abs=1e-6)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(1, 20))
def test_bounds_hold_the_observed_rate_and_widen_with_overdispersion(k, more, spread):
    n = k + more
    low, high = events.rate_bounds(k, n, 0.05)
    wide_low, wide_high = events.rate_bounds(k, n, 0.05, spread)
    assert low <= k / n <= high
    assert wide_low <= low + 1e-9
    assert wide_high >= high - 1e-9
