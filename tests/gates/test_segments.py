"""Gate segments: harm to one segment that the whole does not show, literal counts and seeded streams."""

from dataclasses import replace

import numpy as np
import pytest

from sluicegate.domain.evidence import SEGMENT_BUCKETS, Segment, SegmentPrediction
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import add, judge
from sluicegate.gates.segments import Segments, log_shares

NAMES = ("carrier=AA", "carrier=B6", "carrier=DL", "carrier=HA", "carrier=UA")
SHARES = np.array([0.3, 0.25, 0.2, 0.05, 0.2])
SMALL = "carrier=HA"


def gate(case):
    return next(g for g in judge(case).gates if g.gate == "segments")


class Stream:
    """Growing counters by segment of two arms; `harm` are the candidate's rates in the small segment."""

    def __init__(self, seed, weight=0.5, rate=600, shares=SHARES, **harm):
        self.random, self.weight, self.rate, self.harm = np.random.default_rng(seed), weight, rate, harm
        self.shares = shares
        self.total = np.zeros((2, len(NAMES), 4, SEGMENT_BUCKETS), dtype=np.int64)
        self.usual = {"errors": 0.01, "slow": 0.02, "decisions": 0.2}

    def look(self):
        for arm, part in ((0, 1 - self.weight), (1, self.weight)):
            for place, share in enumerate(self.shares):
                asked = self.random.poisson(self.rate * part * share / SEGMENT_BUCKETS, SEGMENT_BUCKETS)
                self.total[arm, place, 0] += asked
                for row, (name, usual) in enumerate(self.usual.items(), 1):
                    harmed = arm == 1 and NAMES[place] == SMALL
                    self.total[arm, place, row] += self.random.binomial(asked, self.harm.get(name, usual) if harmed else usual)

    def arm(self, build, arm):
        whole = self.total[arm].sum(axis=(0, 2)).tolist()
        found = {name: self.segment(arm, place) for place, name in enumerate(NAMES) if self.total[arm, place].any()}
        counted = build.arm(whole[0], errors=whole[1], slow=whole[2], decisions=whole[3] / max(whole[0], 1))
        return replace(counted, segments=found)

    def segment(self, arm, place):
        asked, errors, slow, decisions = (tuple(row.tolist()) for row in self.total[arm, place])
        return Segment(asked, errors, decisions, {"25": slow})


@pytest.fixture
def run(build):
    """The case after so many looks of a stream."""

    def after(stream, looks=60, told=None, weight=50, until_fail=False):
        release = build.release.model_copy(update={"segments": ("carrier",)})
        prediction = replace(build.predicted(), segments=told or {})
        case = build.opened(
            weight, prediction, baseline=build.reading(0.0, stream.arm(build, 0), stream.arm(build, 1)), release=release
        )
        for second in range(1, looks + 1):
            stream.look()
            reading = build.reading(float(second), stream.arm(build, 0), stream.arm(build, 1))
            case = build.after(case, 1, lambda _, r=reading: r)
            if until_fail and gate(case).verdict is Verdict.FAIL:
                break
        return case

    return after


TOLD = {name: SegmentPrediction(20_000, 0.0) for name in NAMES}


class TestHarm:
    @pytest.mark.parametrize(
        ("harm", "reason"),
        [
            ({"errors": 0.10}, "segment_errors"),
            ({"slow": 0.30}, "segment_slow"),
            ({"decisions": 0.5}, "segment_decisions"),
        ],
    )
    def test_harm_confined_to_a_segment_of_five_percent_is_found_and_named(self, run, harm, reason):
        verdict = gate(run(Stream(1, **harm), 120, TOLD, until_fail=True))
        assert (verdict.verdict, verdict.reason) == (Verdict.FAIL, reason)
        assert verdict.message.startswith(SMALL)

    def test_harm_is_found_at_five_percent_weight_as_well(self, run):
        verdict = gate(run(Stream(2, weight=0.05, rate=3000, errors=0.2), 60, TOLD, weight=5, until_fail=True))
        assert verdict.reason == "segment_errors"

    @pytest.mark.parametrize("seed", range(4))
    def test_equal_arms_pass_without_a_segment_being_accused(self, run, seed):
        verdict = gate(run(Stream(10 + seed), 60, TOLD))
        assert (verdict.verdict, verdict.reason) == (Verdict.PASS, "no_harm_seen")

    def test_a_shift_of_decisions_that_was_predicted_for_the_segment_is_no_harm(self, run):
        told = TOLD | {SMALL: SegmentPrediction(20_000, 0.3)}
        assert gate(run(Stream(3, decisions=0.5), 60, told)).verdict is Verdict.PASS

    def test_decisions_of_a_segment_without_a_prediction_are_not_judged(self, run):
        verdict = gate(run(Stream(3, decisions=0.5), 60))
        assert verdict.verdict is Verdict.PASS
        assert "decisions_excess" not in verdict.numbers


class TestBudget:
    @pytest.mark.parametrize(("known", "late"), [(0, 5), (3, 0), (3, 40)])
    def test_the_parts_of_all_segments_never_exceed_the_whole(self, known, late):
        names = tuple(str(place) for place in range(known + late))
        assert np.exp(log_shares(Segments(names=names, known=known))).sum() <= 1 + 1e-12

    def test_segments_known_at_the_start_get_more_than_newcomers(self, run, build):
        case = run(Stream(5), 3)
        assert case.segments.known == 0
        begun = Stream(5)
        begun.look()
        later = run(begun, 3)
        assert later.segments.known == len(NAMES)


class TestUnknown:
    def test_servers_that_count_no_segment_are_not_measured(self, build):
        release = build.release.model_copy(update={"segments": ("carrier",)})
        case = build.after(build.opened(50, release=release), 30, build.healthy(50))
        assert gate(case).reason == "not_measured"
        assert judge(case).verdict is Verdict.INCONCLUSIVE

    def test_a_segment_that_appears_late_is_judged_from_then_on(self, run, build):
        early, late = Stream(6, shares=np.array([0.3, 0.25, 0.25, 0.0, 0.2])), Stream(7, errors=0.3)
        case = run(early, 20, TOLD)
        assert SMALL not in case.segments.names
        late.total += early.total
        for second in range(21, 121):
            late.look()
            case = add(case, build.reading(float(second), late.arm(build, 0), late.arm(build, 1)))
        assert gate(case).message.startswith(SMALL)

    def test_a_missing_arm_holds(self, run, build):
        case = run(Stream(7), 20)
        dark = build.after(case, 1, lambda _: replace(build.reading(21.0), candidate=None, missing=("candidate: gone",)))
        assert gate(dark).reason == "source_missing"
