"""Gates throughput, cpu_ms, memory_mb and value, with literal numbers."""

from dataclasses import replace

import pytest

from sluicegate.domain.gate_spec import LoadGate, ValueGate
from sluicegate.domain.spec import Gates
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import judge

LOAD = Gates(throughput=LoadGate(margin=0.2), cpu_ms=LoadGate(margin=0.2), memory_mb=500, value=ValueGate(margin=0.05))


def gate(case, name):
    return next(g for g in judge(case).gates if g.gate == name)


def said(case, name):
    verdict = gate(case, name)
    return verdict.verdict, verdict.reason


def costly(build, requests, busy=0.004, cpu=0.002, value=2.0, **more):
    """An arm whose requests cost so many seconds and bring so much; a bucket's cost is a tenth more or less than the mean."""
    arm = build.arm(requests)
    varied = [n * (0.9 + 0.2 * (place % 2)) for place, n in enumerate(arm.requests)]
    each = {"busy_sum": busy, "cpu_sum": cpu, "value_sum": value}
    sums = {name: tuple(n * one for n in varied) for name, one in each.items()}
    return replace(arm, **sums, value_square_sum=tuple(1.01 * n * value**2 for n in arm.requests), **more)


@pytest.fixture
def run(build):
    """The case after so many looks at 25 %, the candidate's requests costing as told."""

    def after(looks=20, gates=LOAD, weight=25, shock=None, baseline=None, **candidate):
        release = build.release.model_copy(update={"gates": gates})
        case = build.opened(weight, release=release, baseline=baseline)
        costs = [1.0 if shock is None else shock(second) for second in range(1, looks + 1)]

        def make(second):
            times = sum(costs[:second]) / second
            own = {"busy": 0.004, "cpu": 0.002} | {k: v for k, v in candidate.items() if k in ("busy", "cpu")}
            rest = {k: v for k, v in candidate.items() if k not in own}
            champion = costly(build, 112 * second, busy=0.004 * times, cpu=0.002 * times, memory_bytes=3e8)
            other = costly(build, 38 * second, **{k: v * times for k, v in own.items()}, **({"memory_bytes": 3e8} | rest))
            return build.reading(float(second), champion, other)

        return build.after(case, looks, make)

    return after


class TestLoad:
    @pytest.mark.parametrize("name", ["throughput", "cpu_ms", "memory_mb", "value"])
    def test_a_candidate_that_costs_and_brings_as_much_passes(self, run, name):
        assert said(run(), name) == (Verdict.PASS, "within_margin")

    @pytest.mark.parametrize(
        ("name", "harm", "reason"),
        [
            ("throughput", {"busy": 0.006}, "less_capacity"),
            ("cpu_ms", {"cpu": 0.003}, "more_cpu"),
            ("value", {"value": 1.7}, "less_value"),
            ("memory_mb", {"memory_bytes": 6e8}, "more_memory"),
        ],
    )
    def test_harm_beyond_the_margin_fails(self, run, name, harm, reason):
        assert said(run(**harm), name) == (Verdict.FAIL, reason)

    @pytest.mark.parametrize(
        ("name", "change"), [("throughput", {"busy": 0.0045}), ("cpu_ms", {"cpu": 0.0023}), ("value", {"value": 1.95})]
    )
    def test_harm_within_the_margin_never_fails(self, run, name, change):
        for looks in range(1, 60, 3):
            assert gate(run(looks, **change), name).verdict is not Verdict.FAIL

    @pytest.mark.parametrize(
        ("name", "better"), [("throughput", {"busy": 0.001}), ("cpu_ms", {"cpu": 0.0005}), ("value", {"value": 9.0})]
    )
    def test_a_candidate_that_is_far_better_passes(self, run, name, better):
        assert gate(run(**better), name).verdict is Verdict.PASS

    def test_capacity_lost_is_counted_in_requests_per_busy_second(self, run):
        numbers = gate(run(busy=0.008), "throughput").numbers
        assert numbers["harm"] == pytest.approx(0.5)
        assert numbers["champion_mean"] == pytest.approx(0.004)

    @pytest.mark.parametrize("name", ["throughput", "cpu_ms", "value"])
    def test_few_looks_decide_nothing(self, run, name):
        assert said(run(3, busy=0.04, cpu=0.02, value=0.1), name) == (Verdict.INCONCLUSIVE, "too_few_requests")

    def test_what_makes_both_versions_cost_more_is_nobodys_harm(self, run):
        shock = run(40, shock=lambda second: 5.0 if second % 4 == 0 else 1.0)
        assert gate(shock, "cpu_ms").numbers["harm"] == pytest.approx(0.0, abs=1e-9)
        assert gate(shock, "throughput").verdict is not Verdict.FAIL

    @pytest.mark.parametrize("name", ["throughput", "cpu_ms", "value"])
    def test_what_a_server_does_not_count_is_not_measured(self, build, name):
        release = build.release.model_copy(update={"gates": LOAD})
        case = build.after(build.opened(25, release=release), 20, build.healthy(25))
        assert said(case, name) == (Verdict.INCONCLUSIVE, "not_measured")

    def test_at_full_weight_only_memory_is_judged(self, run):
        assert [g.gate for g in judge(run(weight=100)).gates] == ["memory_mb"]


class TestValue:
    def test_an_absolute_margin_is_in_the_unit_of_the_value(self, run):
        gates = Gates(value=ValueGate(absolute=0.5))
        assert said(run(gates=gates, value=1.7), "value") == (Verdict.PASS, "within_margin")
        assert said(run(gates=gates, value=1.2), "value") == (Verdict.FAIL, "less_value")

    def test_a_smaller_loss_is_no_harm_where_the_champion_loses_too(self, build):
        release = build.release.model_copy(update={"gates": Gates(value=ValueGate(margin=0.05))})

        def make(second):
            arms = (costly(build, n * second, value=v) for n, v in ((112, -2.0), (38, -1.0)))
            return build.reading(float(second), *arms)

        assert said(build.after(build.opened(25, release=release), 20, make), "value")[0] is Verdict.PASS


class TestMemory:
    def test_one_look_above_the_bound_is_not_yet_a_breach(self, run):
        assert said(run(1, memory_bytes=9e8), "memory_mb") == (Verdict.INCONCLUSIVE, "undecided")

    def test_a_candidate_that_needs_no_more_than_a_large_champion_passes(self, build):
        release = build.release.model_copy(update={"gates": Gates(memory_mb=500)})

        def make(second):
            arms = (costly(build, n * second, memory_bytes=7e8) for n in (112, 38))
            return build.reading(float(second), *arms)

        assert said(build.after(build.opened(25, release=release), 20, make), "memory_mb")[0] is Verdict.PASS

    @pytest.mark.parametrize("unknown", [None, float("nan")])
    def test_memory_that_is_not_known_is_neither_passed_nor_failed(self, run, unknown):
        assert said(run(memory_bytes=unknown), "memory_mb") == (Verdict.INCONCLUSIVE, "not_measured")
