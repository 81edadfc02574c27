"""The rule a bank wrote down, mean score within 5 % of the old model's, beside the gate that asks what was predicted."""

import pytest

from sluicegate.domain.gate_spec import Gates, RawRule, ScoreGate
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import judge

GATES = Gates(score=ScoreGate(within=0.05), raw_score_mean=RawRule(within=0.05), raw_decision_rate=RawRule(within=0.01))
JULY = -0.15 * 0.30
"""Flights of July 2013: the better model (AUC 0.751 against 0.661) lowers the champion's mean score of 0.30 by 15 %."""


@pytest.fixture
def judged(build):
    """Verdicts by gate after 60 looks of a mirror stage, or of a split without pairs, at these raw shifts."""

    def after(gap=0.0, told=None, on=0.0, weight=None, gates=GATES):
        release = build.release.model_copy(update={"gates": gates})
        due = build.predicted(gap if told is None else told, mean_score=0.30 + (gap if told is None else told), flips_on=on)
        case = build.opened(weight, due, release=release)

        def make(second):
            n = second * 200
            if weight is not None:
                return build.reading(float(second), build.arm(n), build.arm(n, score=0.3 + gap))
            pairs = build.pairs(n, gap, int(n * on), candidate_score_sum=tuple(x * (0.30 + gap) for x in build.spread(n)))
            return build.reading(float(second), build.arm(2 * n), mirror=build.arm(n), pairs=pairs)

        verdict = judge(build.after(case, 60, make))
        return {g.gate: g for g in verdict.gates}, verdict

    return after


def test_the_raw_rule_stops_a_rightly_better_model_and_the_predicted_one_lets_it_pass(judged):
    gates, verdict = judged(JULY)
    assert gates["score"].verdict is Verdict.PASS
    assert (gates["raw_score_mean"].verdict, gates["raw_score_mean"].reason) == (Verdict.FAIL, "raw_rule")
    assert (verdict.verdict, verdict.reason) == (Verdict.FAIL, "raw_rule")


def test_the_raw_shift_is_told_beside_the_predicted_one(judged):
    gates, _ = judged(JULY)
    numbers = gates["raw_score_mean"].numbers
    assert numbers["raw_shift"] == pytest.approx(-0.15)
    assert numbers["predicted_shift"] == pytest.approx(-0.15)
    assert "moved by -15.0% against the champion, -15.0% were predicted" in gates["raw_score_mean"].message
    assert "does not ask which of the two models is better" in gates["raw_score_mean"].message


def test_the_score_gate_tells_the_raw_shift_where_no_raw_rule_is_named(judged):
    numbers = judged(JULY, gates=Gates(score=ScoreGate(within=0.05)))[0]["score"].numbers
    assert (numbers["raw_shift"], numbers["predicted_shift"]) == (pytest.approx(-0.15), pytest.approx(-0.15))


def test_the_raw_rule_passes_a_broken_model_that_keeps_the_mean_and_the_predicted_one_stops_it(judged):
    gates, _ = judged(0.0, told=JULY)
    assert gates["raw_score_mean"].verdict is Verdict.PASS
    assert gates["score"].verdict is Verdict.FAIL


@pytest.mark.parametrize("weight", [None, 50])
def test_a_shift_within_the_rule_passes_on_pairs_and_on_arms(judged, weight):
    assert judged(0.003, weight=weight)[0]["raw_score_mean"].verdict is Verdict.PASS


def test_a_shift_beyond_the_rule_fails_on_arms(judged):
    assert judged(JULY, weight=50)[0]["raw_score_mean"].reason == "raw_rule"


@pytest.mark.parametrize(("on", "verdict"), [(0.001, Verdict.PASS), (0.04, Verdict.FAIL)])
def test_rejections_within_a_point_pass_and_beyond_it_fail_whatever_was_predicted(judged, on, verdict):
    assert judged(0.0, on=on)[0]["raw_decision_rate"].verdict is verdict


def test_a_margin_within_a_share_is_one_of_the_predicted_mean(judged):
    gates, _ = judged(JULY)
    assert gates["score"].numbers["margin"] == pytest.approx(0.05 * (0.30 + JULY))
