"""Gate labels: outcomes that became known, with literal numbers; and labels that stall."""

from dataclasses import replace

import pytest

from sluicegate.domain.evidence import LabelCounters, Reading
from sluicegate.domain.gate_spec import LabelsGate
from sluicegate.domain.spec import Gates
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import add, judge

GATES = Gates(labels=LabelsGate(margin=0.02, within=10))


def gate(case):
    return next(g for g in judge(case).gates if g.gate == "labels")


def said(case):
    verdict = gate(case)
    return verdict.verdict, verdict.reason


def outcomes(build, champion, candidate, pairs=0, worse=0.0, loss=0.2, due=None, newest=None):
    """So many known outcomes; the candidate's mean loss is `worse` above the champion's, which is `loss`."""
    arms = []
    for count, mean in ((champion, loss), (candidate, loss + worse)):
        known = build.spread(count)
        arms += [known, tuple(n * mean for n in known), tuple(n * (mean**2 + 0.01) for n in known)]
    both = build.spread(pairs)
    apart = (tuple(n * worse for n in both), tuple(n * (worse**2 + 0.01) for n in both))
    return LabelCounters(0.0, *arms, both, *apart, due=champion + candidate if due is None else due, newest=newest)


@pytest.fixture
def run(build):
    """The case after so many looks at this weight, labels as told for each second."""

    def after(labels, looks=20, weight=50):
        release = build.release.model_copy(update={"gates": GATES})
        start = build.reading(0.0, labels=outcomes(build, 0, 0))
        case = build.opened(weight, release=release, baseline=start)
        return build.after(case, looks, lambda second: replace(build.healthy(weight or 0)(second), labels=labels(second)))

    return after


class TestJudged:
    def test_equal_losses_of_the_arms_pass(self, run, build):
        assert said(run(lambda s: outcomes(build, 60 * s, 60 * s))) == (Verdict.PASS, "within_margin")

    def test_worse_outcomes_of_the_arms_fail(self, run, build):
        assert said(run(lambda s: outcomes(build, 60 * s, 60 * s, worse=0.1))) == (Verdict.FAIL, "worse_outcomes")

    def test_pairs_are_judged_where_there_are_any(self, run, build):
        case = run(lambda s: outcomes(build, 60 * s, 60 * s, pairs=40 * s, worse=0.06))
        assert said(case) == (Verdict.FAIL, "worse_outcomes")
        assert gate(case).numbers["pairs"] == 1

    def test_a_better_candidate_passes_on_pairs(self, run, build):
        assert said(run(lambda s: outcomes(build, 60 * s, 60 * s, pairs=60 * s, worse=-0.05)))[0] is Verdict.PASS

    def test_a_loss_within_the_margin_never_fails(self, run, build):
        for looks in range(1, 40, 3):
            case = run(lambda s: outcomes(build, 60 * s, 60 * s, pairs=60 * s, worse=0.019), looks)
            assert gate(case).verdict is not Verdict.FAIL

    def test_labels_that_come_all_at_once_are_one_look_and_decide_nothing(self, run, build):
        case = run(lambda s: outcomes(build, 6000, 6000, worse=0.2) if s > 10 else outcomes(build, 0, 0))
        assert gate(case).verdict is Verdict.INCONCLUSIVE


class TestNotYet:
    def test_an_early_stage_does_not_wait_for_outcomes_that_are_not_due(self, run, build):
        case = run(lambda s: outcomes(build, 0, 0), weight=5)
        assert said(case) == (Verdict.INCONCLUSIVE, "no_harm_seen")
        assert judge(case).verdict is Verdict.PASS

    def test_a_late_stage_waits_for_them(self, run, build):
        assert said(run(lambda s: outcomes(build, 0, 0))) == (Verdict.INCONCLUSIVE, "too_few_requests")


class TestStalled:
    @pytest.mark.parametrize("weight", [None, 5, 50])
    def test_labels_that_never_come_hold_every_stage(self, run, build, weight):
        verdict = judge(run(lambda s: outcomes(build, 0, 0, due=30 * s), weight=weight))
        assert (verdict.verdict, verdict.reason) == (Verdict.INCONCLUSIVE, "labels_stalled")

    def test_labels_that_cease_to_come_hold_though_many_were_known(self, run, build):
        case = run(lambda s: outcomes(build, 60 * min(s, 30), 60 * min(s, 30), due=100 * s), looks=60)
        assert said(case) == (Verdict.INCONCLUSIVE, "labels_stalled")

    def test_neither_harm_nor_its_absence_is_told_from_stalled_labels(self, run, build):
        for worse in (0.0, 0.3):
            case = run(lambda s, w=worse: outcomes(build, 60 * s, 60 * s, worse=w, due=400 * s))
            assert said(case) == (Verdict.INCONCLUSIVE, "labels_stalled")

    def test_labels_that_come_again_are_judged_again(self, run, build):
        def late(second):
            known = 0 if second < 20 else 60 * second
            return outcomes(build, known, known, due=100 * second)

        assert said(run(late, looks=19))[1] == "labels_stalled"
        assert said(run(late, looks=60)) == (Verdict.PASS, "within_margin")

    def test_a_few_late_labels_are_no_stall(self, run, build):
        assert said(run(lambda s: outcomes(build, 60 * s, 60 * s, due=130 * s)))[0] is Verdict.PASS


def test_labels_that_cannot_be_read_are_missing(run, build):
    case = run(lambda s: outcomes(build, 60 * s, 60 * s))
    gone = add(case, replace(build.healthy(50)(21), labels=None, missing=("labels: no such folder",)))
    assert said(gone) == (Verdict.INCONCLUSIVE, "source_missing")
    assert "no such folder" in gate(gone).message


def test_a_loss_that_is_not_a_number_is_told(run, build):
    broken = replace(outcomes(build, 60, 60), candidate_loss_sum=(float("nan"),) * 200)
    assert said(run(lambda s: broken)) == (Verdict.INCONCLUSIVE, "not_a_number")


def test_a_reading_without_anything_holds(build):
    release = build.release.model_copy(update={"gates": GATES})
    case = build.after(build.opened(50, release=release), 9, lambda s: Reading(float(s), missing=("gone",)))
    assert judge(case).reason == "source_missing"
