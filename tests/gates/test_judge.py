"""The stage's verdict: what lets it pass, what stops it, what holds it; and that the journal alone reproduces it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.domain.evidence import GatewayCounters, Reading
from sluicegate.domain.spec import Gate, Gates, Release, StageSpec
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import add, budget, judge, open_case
from sluicegate.testing.evidence import Behaviour, Service, constant, enriched


def said(case):
    verdict = judge(case)
    return verdict.verdict, verdict.reason


class TestPass:
    def test_a_healthy_mirror_stage_passes(self, build):
        assert said(build.after(build.opened(None), 15, build.healthy(0))) == (Verdict.PASS, "all_gates_pass")

    def test_an_early_stage_ends_without_harm_seen(self, build):
        assert said(build.after(build.opened(5), 8, build.healthy(5))) == (Verdict.PASS, "no_harm_seen")

    @pytest.mark.parametrize("weight", [50, 100])
    def test_late_stages_end_with_every_gate_passed(self, build, weight):
        assert said(build.after(build.opened(weight), 30, build.healthy(weight))) == (Verdict.PASS, "all_gates_pass")

    def test_the_last_stage_below_full_weight_needs_a_real_pass_however_small_it_is(self, build):
        stages = (build.mirror, StageSpec(weight=5), StageSpec(weight=25), StageSpec(weight=100))
        release = build.release.model_copy(update={"stages": stages})
        assert budget.needs_pass(release, stages[2])
        assert not budget.needs_pass(release, stages[1])

    def test_full_weight_judges_latency_and_errors_alone(self, build):
        verdict = judge(build.after(build.opened(100), 30, build.healthy(100)))
        assert [g.gate for g in verdict.gates] == ["p95_ms", "error_rate"]


class TestHold:
    def test_a_stage_without_a_reading_is_not_decided(self, build):
        assert judge(build.opened(25)).verdict is Verdict.INCONCLUSIVE

    def test_the_bake_holds_a_stage_that_is_otherwise_ready(self, build):
        assert said(build.after(build.opened(25, bake=60.0), 30, build.healthy(25))) == (Verdict.INCONCLUSIVE, "baking")

    def test_too_few_requests_hold(self, build):
        case = build.after(build.opened(25, min_requests=5000), 30, build.healthy(25))
        assert said(case) == (Verdict.INCONCLUSIVE, "too_few_requests")

    def test_no_traffic_holds(self, build):
        assert judge(build.after(build.opened(25), 100, lambda s: build.reading(float(s)))).verdict is Verdict.INCONCLUSIVE

    def test_evidence_of_before_the_stage_does_not_count(self, build):
        before = build.reading(0.0, build.arm(90_000), build.arm(30_000), pairs=build.pairs(40_000))
        case = build.opened(25, baseline=before)
        later = build.after(case, 20, lambda s: replace(before, taken_at=float(s)))
        assert judge(later).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("weight", [None, 5, 50, 100])
    def test_a_meter_that_sees_nothing_holds_with_its_reason(self, build, weight):
        case = build.after(build.opened(weight), 50, lambda s: Reading(float(s), missing=("prometheus: no answer",)))
        verdict = judge(case)
        assert (verdict.verdict, verdict.reason) == (Verdict.INCONCLUSIVE, "source_missing")
        assert "prometheus: no answer" in verdict.message

    @pytest.mark.parametrize("weight", [None, 5, 50, 100])
    def test_a_meter_that_loses_sight_of_a_ready_stage_holds_it(self, build, weight):
        case = build.after(build.opened(weight), 30, build.healthy(weight or 0))
        assert judge(case).verdict is Verdict.PASS
        assert judge(add(case, Reading(31.0, missing=("gone",)))).verdict is Verdict.INCONCLUSIVE

    def test_scores_that_are_not_a_number_hold(self, build):
        nan = (float("nan"),) * 200

        def broken(second):
            return replace(build.healthy(0)(second), pairs=build.pairs(75 * second, difference_sum=nan))

        assert said(build.after(build.opened(None), 20, broken)) == (Verdict.INCONCLUSIVE, "not_a_number")

    def test_a_reset_counter_holds_for_one_look_and_begins_the_bake_again(self, build):
        case = build.after(build.opened(50), 30, build.healthy(50))
        fresh = replace(build.healthy(50)(1), taken_at=31.0, candidate=build.arm(0, started_at=30.5))
        case = add(case, fresh)
        assert said(case) == (Verdict.INCONCLUSIVE, "counter_reset")
        again = replace(build.healthy(50)(1), candidate=build.arm(75, started_at=30.5))
        assert said(add(case, replace(again, taken_at=32.0)))[1] in ("counter_reset", "baking")

    def test_a_router_that_ignores_the_weight_holds(self, build):
        def stuck(second):
            return replace(build.healthy(5)(second), pairs=build.pairs(second * 70))

        assert said(build.after(build.opened(50), 60, stuck)) == (Verdict.INCONCLUSIVE, "share_not_confirmed")

    def test_a_weight_that_was_gone_while_nobody_watched_is_not_held_against_the_router(self, build):
        healthy = build.healthy(50)
        case = build.after(build.opened(50), 30, healthy)

        def later(second):
            back = healthy(30 + second)
            away = 150 * 300
            champion = build.arm(sum(back.champion.requests) + away)
            gateway = replace(back.gateway, champion_requests=back.gateway.champion_requests + away)
            return replace(back, taken_at=330.0 + second, champion=champion, gateway=gateway)

        assert said(build.after(case, 10, later))[0] is Verdict.PASS

    def test_an_older_reading_is_ignored(self, build):
        case = build.after(build.opened(25), 10, build.healthy(25))
        assert add(case, build.healthy(25)(3)) is case


class TestEveryGate:
    """A plan with every gate there is, on evidence for all of them."""

    @pytest.fixture
    def case(self, build):
        names = {name: {} for name in ("error_rate", "throughput", "cpu_ms", "decision_rate")}
        margins = {"score": {"margin": 0.03}, "value": {"margin": "5%"}, "labels": {"margin": 0.02, "within": 10}}
        raw = {"raw_score_mean": {"within": "5%"}, "raw_decision_rate": {"within": "2pp"}}
        gates = Gates.model_validate(names | margins | raw | {"p95_ms": 25, "memory_mb": 500})
        release = build.release.model_copy(update={"gates": gates, "segments": ("carrier",)})
        return build.opened(50, release=release, baseline=enriched(build.reading(0.0)))

    @staticmethod
    def healthy(build):
        make = build.healthy(50)
        return lambda second: enriched(make(second))

    def test_all_twelve_pass_a_healthy_candidate(self, build, case):
        verdict = judge(build.after(case, 40, self.healthy(build)))
        assert {g.gate: g.reason for g in verdict.gates if g.verdict is not Verdict.PASS} == {}
        assert len(verdict.gates) == 12

    @pytest.mark.parametrize(
        "dark", [{}, {"champion": None}, {"candidate": None}, {"gateway": None}, {"pairs": None}, {"labels": None}]
    )
    def test_a_source_that_is_gone_holds_and_the_stage_goes_on_by_itself_when_it_is_back(self, build, case, dark):
        healthy = self.healthy(build)
        case = build.after(case, 40, healthy)
        for second in range(41, 61):
            gone = replace(healthy(second), missing=("gone",), **dark) if dark else Reading(float(second), missing=("gone",))
            case = add(case, gone)
            assert said(case) == (Verdict.INCONCLUSIVE, "source_missing")
        assert judge(add(case, healthy(61))).verdict is Verdict.PASS


class TestStop:
    def test_one_failing_gate_fails_the_stage_and_is_named(self, build):
        def skewed(second):
            return replace(build.healthy(0)(second), pairs=build.pairs(75 * second, gap=0.1))

        verdict = judge(build.after(build.opened(None), 10, skewed))
        assert verdict.verdict is Verdict.FAIL
        assert verdict.message.startswith("score: ")

    def test_a_breach_stays_a_breach_when_the_meter_goes_dark(self, build):
        slow = build.healthy(25, slow=0.0)

        def breach(second):
            reading = slow(second)
            count = sum(reading.candidate.requests)
            return replace(reading, candidate=build.arm(count, slow=count // 2))

        case = build.after(build.opened(25), 5, breach)
        assert judge(case).verdict is Verdict.FAIL
        assert judge(add(case, Reading(6.0, missing=("gone",)))).verdict is Verdict.FAIL


class TestCommonShock:
    def shocked(self, build, second):
        before = min(second, 10)
        struck = max(0, second - 10)
        champion = build.arm(112 * second, slow=56 * struck)
        candidate = build.arm(37 * second, slow=18 * struck)
        return build.reading(float(second), champion, candidate, pairs=build.pairs(56 * before + 56 * struck))

    def test_both_slow_at_once_freeze_the_stage(self, build):
        verdict = judge(build.after(build.opened(25), 13, lambda s: self.shocked(build, s)))
        assert (verdict.verdict, verdict.reason, verdict.frozen) == (Verdict.INCONCLUSIVE, "common_shock", True)

    def test_it_resumes_by_itself_when_the_shock_is_over(self, build):
        def over(second):
            reading = self.shocked(build, min(second, 16))
            rest = max(0, second - 16)
            gateway = GatewayCounters(0.0, 112 * second, 0, 37 * second, 0)
            champion = build.arm(112 * second, slow=sum(reading.champion.slow["25"]))
            candidate = build.arm(37 * second, slow=sum(reading.candidate.slow["25"]))
            return replace(
                reading,
                taken_at=float(second),
                champion=champion,
                candidate=candidate,
                gateway=gateway,
                pairs=build.pairs(56 * 16 + 56 * rest),
            )

        verdict = judge(build.after(build.opened(25), 40, over))
        assert (verdict.verdict, verdict.frozen) == (Verdict.PASS, False)

    def test_a_candidate_that_is_far_worse_in_the_shock_still_fails(self, build):
        def worse(second):
            struck = max(0, second - 10)
            champion = build.arm(112 * second, slow=20 * struck)
            return build.reading(
                float(second), champion, build.arm(37 * second, slow=36 * struck), pairs=build.pairs(56 * second)
            )

        assert judge(build.after(build.opened(25), 20, worse)).verdict is Verdict.FAIL


class TestBudget:
    def test_the_parts_of_all_gates_and_stages_add_up_to_alpha(self, build):
        release = build.release
        parts = [budget.fail_alpha(release, s, gate) for s in release.stages for gate in budget.gates_of(release, s)]
        assert sum(parts) == pytest.approx(release.alpha)

    def test_a_gate_that_is_not_named_is_not_judged(self, build):
        release = Release(stages=build.stages, gates=Gates(score=Gate(margin=0.03)))
        case = build.after(build.opened(50, release=release), 20, build.healthy(50))
        assert [g.gate for g in judge(case).gates] == ["score"]


class TestReplay:
    @pytest.mark.parametrize("weight", [None, 5, 50, 100])
    def test_the_journaled_readings_alone_give_the_same_verdicts_bit_for_bit(self, build, weight):
        candidate = Behaviour(slow=constant(0.02), errors=constant(0.003), shift=-0.02, noise=0.1, user_noise=0.05)
        service = Service(7, Behaviour(slow=constant(0.01)), candidate)
        due, stage = service.predicted(), build.stage(weight)
        readings = list(service.readings(stage, 8))
        journal = [json.dumps(r.to_dict()) for r in readings]

        def verdicts(baseline, rest):
            case = open_case(build.release, stage, due, baseline, (0.0, 1.0))
            said = []
            for reading in rest:
                case = add(case, reading)
                said.append(json.dumps(judge(case).to_dict()))
            return said

        replayed = [Reading.from_dict(json.loads(line)) for line in journal]
        assert verdicts(readings[0], readings[1:]) == verdicts(replayed[0], replayed[1:])

    def test_adding_a_reading_leaves_the_case_before_as_it_was(self, build):
        case = build.after(build.opened(25), 5, build.healthy(25))
        before = json.dumps(judge(case).to_dict())
        add(case, build.healthy(25, slow=0.9)(6))
        assert json.dumps(judge(case).to_dict()) == before

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 300), st.integers(0, 300), st.floats(0, 1), st.floats(0, 1), st.sampled_from("abcn")),
            max_size=12,
        )
    )
    def test_no_stream_of_readings_breaks_the_judge_and_every_number_is_finite(self, stream):
        service = Service(1)
        due = service.predicted(500)
        baseline = next(iter(service.readings(StageSpec(weight=25), 0)))
        release = Release(
            stages=(StageSpec(weight=25), StageSpec(weight=100)),
            gates=Gates(p95_ms=25, error_rate=Gate(margin=0.01), score=Gate(margin=0.03), decision_rate=Gate(margin=0.05)),
        )
        case = open_case(release, release.stages[0], due, baseline, (0.0, 1.0))
        champion = candidate = bad = 0
        for second, (more, mine, worse, slow, kind) in enumerate(stream, 1):
            champion, candidate, bad = champion + more, candidate + mine, bad + int(worse * mine)
            case = add(case, _reading(baseline, second, champion, candidate, bad, int(slow * bad), kind))
            verdict = judge(case)
            json.dumps(verdict.to_dict(), allow_nan=False)


def _reading(baseline, second, champion, candidate, bad, slow, kind):
    def counts(total):
        return (total, *[0] * 199)

    arm = replace(baseline.champion, requests=counts(champion))
    other = replace(baseline.candidate, requests=counts(candidate), errors=counts(bad), slow={"25": counts(slow)})
    gateway = None if kind == "n" else GatewayCounters(0.0, champion, 0, candidate, bad)
    return replace(
        baseline, taken_at=baseline.taken_at + second, champion=arm, candidate=None if kind == "c" else other, gateway=gateway
    )
