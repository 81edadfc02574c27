"""Gates score and decision_rate: seen against predicted, literal numbers."""

import numpy as np
import pytest

from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import judge
from sluicegate.gates.forecast import forecast


def gate(case, name="score"):
    return next(g for g in judge(case).gates if g.gate == name)


def mirrored(build, gap, on=0.0, off=0.0, rate=75):
    def make(second):
        n = second * rate
        return build.reading(
            float(second), build.arm(2 * n), mirror=build.arm(n), pairs=build.pairs(n, gap, int(n * on), int(n * off))
        )

    return make


def two_bins(low, high):
    """A histogram with these shares in bins 2 and 12."""
    shares = [0.0] * SCORE_BINS
    shares[2], shares[12] = low, high
    return tuple(shares)


def test_a_better_model_that_moves_the_mean_as_predicted_passes(build):
    verdict = gate(build.after(build.opened(None, build.predicted(-0.05)), 15, mirrored(build, -0.05)))
    assert verdict.verdict is Verdict.PASS
    assert verdict.numbers["seen_difference"] == pytest.approx(-0.05)


def test_the_same_shift_fails_when_it_was_not_predicted(build):
    verdict = gate(build.after(build.opened(None, build.predicted(0.0)), 15, mirrored(build, -0.05)))
    assert (verdict.verdict, verdict.reason) == (Verdict.FAIL, "not_as_predicted")


def test_no_shift_fails_when_a_shift_was_predicted(build):
    assert gate(build.after(build.opened(None, build.predicted(-0.05)), 15, mirrored(build, 0.0))).verdict is Verdict.FAIL


def test_a_shift_within_the_margin_never_fails(build):
    case = build.opened(None)
    for second in range(1, 80):
        case = build.after(case, 1, lambda _, s=second: mirrored(build, 0.029)(s))
        assert gate(case).verdict is not Verdict.FAIL


def test_decisions_that_flip_as_predicted_pass_and_unpredicted_ones_fail(build):
    due = build.predicted(flips_on=0.12, flips_off=0.02)
    as_due = build.after(build.opened(None, due), 30, mirrored(build, 0.0, on=0.12, off=0.02))
    other = build.after(build.opened(None), 30, mirrored(build, 0.0, on=0.12, off=0.02))
    assert gate(as_due, "decision_rate").verdict is Verdict.PASS
    assert gate(other, "decision_rate").verdict is Verdict.FAIL


def test_another_mix_of_requests_changes_the_prediction_not_the_verdict(build):
    by_bin = tuple(-0.1 if place == 12 else 0.0 for place in range(SCORE_BINS))
    due = build.predicted(-0.05, champion_histogram=two_bins(0.5, 0.5), difference_by_champion_bin=by_bin)
    told = forecast(due).score
    assert told.overall == -0.05
    assert told.live(np.array(two_bins(900, 100))) == pytest.approx(-0.01, abs=0.002)


def test_a_bin_without_holdout_rows_is_predicted_as_the_whole(build):
    by_bin = tuple(-0.1 if place == 12 else 0.0 for place in range(SCORE_BINS))
    due = build.predicted(-0.05, champion_histogram=two_bins(0.5, 0.5), difference_by_champion_bin=by_bin)
    live = np.zeros(SCORE_BINS)
    live[19] = 100
    assert forecast(due).score.live(live) == pytest.approx(-0.05)


def test_without_bins_the_plain_difference_is_predicted(build):
    assert forecast(build.predicted(-0.02)).score.live(np.array(two_bins(1, 9))) == -0.02


def test_without_a_prediction_nothing_is_passed(build):
    due = build.predicted(None, champion_mean_score=None)
    verdict = gate(build.after(build.opened(None, due), 30, mirrored(build, 0.0)))
    assert verdict.verdict is Verdict.INCONCLUSIVE


def test_mass_that_moves_at_equal_mean_is_found_in_the_distribution(build):
    joint = np.zeros((SCORE_BINS, SCORE_BINS))
    joint[6, 6] = 1.0
    due = build.predicted(0.0, joint_histogram=tuple(joint.ravel()))

    def apart(second):
        n = second * 75
        bins = [0] * SCORE_BINS
        bins[2], bins[10] = n // 2, n - n // 2
        moved = build.pairs(n, candidate_histogram=tuple(bins))
        return build.reading(float(second), build.arm(2 * n), mirror=build.arm(n), pairs=moved)

    verdict = gate(build.after(build.opened(None, due), 15, apart))
    assert (verdict.verdict, verdict.reason) == (Verdict.FAIL, "distribution_not_as_predicted")
    assert verdict.numbers["displacement"] == pytest.approx(0.2, abs=0.01)


def test_pairs_of_few_users_decide_nothing(build):
    def few(second):
        n = tuple(100 * second if place < 10 else 0 for place in range(200))
        sums = tuple(0.2 * x for x in n)
        seen = build.pairs(0, pairs=n, difference_sum=sums, difference_square_sum=sums)
        return build.reading(float(second), build.arm(1000 * second), mirror=build.arm(100 * second), pairs=seen)

    verdict = gate(build.after(build.opened(None), 10, few))
    assert (verdict.verdict, verdict.reason) == (Verdict.INCONCLUSIVE, "too_few_requests")


def arms_only(build, gap, champion=lambda second: 0.3):
    def make(second):
        n = 500
        total = [sum(n * (champion(s) + extra) for s in range(1, second + 1)) for extra in (0.0, gap)]
        arms = [build.arm(n * second, score=t / (n * second)) for t in total]
        return build.reading(float(second), *arms, pairs=build.pairs(0))

    return make


def test_without_pairs_the_arms_are_compared(build):
    case = build.after(build.opened(50), 40, arms_only(build, 0.2))
    assert gate(case).numbers["pairs"] == 0
    assert gate(case).verdict is Verdict.FAIL


def test_a_change_of_both_arms_in_time_is_no_difference(build):
    case = build.after(build.opened(50), 40, arms_only(build, 0.0, champion=lambda s: 0.3 + 0.4 * (s % 2)))
    assert gate(case).numbers["seen_difference"] == pytest.approx(0.0, abs=1e-9)
