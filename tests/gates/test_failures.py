"""Gate error_rate, with literal counts."""

from dataclasses import replace

import pytest

from sluicegate.domain.evidence import GatewayCounters, Reading
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import judge


def gate(case):
    return next(g for g in judge(case).gates if g.gate == "error_rate")


def service(build, weight, champion=0.0, candidate=0.0, rate=200):
    def make(second):
        mine, other = second * rate * weight // 100, second * rate * (100 - weight) // 100
        return build.reading(
            float(second), build.arm(other, errors=int(other * champion)), build.arm(mine, errors=int(mine * candidate))
        )

    return make


def test_a_handful_of_errors_at_five_percent_weight_fails_when_the_champion_has_none(build):
    verdict = gate(build.after(build.opened(5), 8, service(build, 5, candidate=0.08)))
    assert (verdict.verdict, verdict.reason) == (Verdict.FAIL, "more_errors")
    assert verdict.numbers["candidate_errors"] <= 8


def test_doubled_errors_fail_though_both_rates_are_below_the_margin(build):
    case = build.after(build.opened(50), 120, service(build, 50, champion=0.004, candidate=0.008))
    assert gate(case).verdict is Verdict.FAIL


def test_equal_errors_never_fail(build):
    case = build.opened(25)
    for second in range(1, 100):
        case = build.after(case, 1, lambda _, s=second: service(build, 25, champion=0.03, candidate=0.03)(s))
        assert gate(case).verdict is not Verdict.FAIL


def test_no_errors_from_a_zero_baseline_pass(build):
    assert gate(build.after(build.opened(50), 10, service(build, 50))).verdict is Verdict.PASS


def test_no_pass_before_the_bound_is_below_the_margin(build):
    verdict = gate(build.after(build.opened(50), 2, service(build, 50)))
    assert (verdict.verdict, verdict.numbers["harm_high"] > 0.01) == (Verdict.INCONCLUSIVE, True)


def test_a_crash_that_only_the_gateway_saw_fails(build):
    def crashed(second):
        mine = second * 20
        gateway = GatewayCounters(0.0, second * 180, 0, mine, mine)
        return Reading(float(second), build.arm(second * 180), None, gateway=gateway, missing=("candidate: refused",))

    assert gate(build.after(build.opened(5), 4, crashed)).verdict is Verdict.FAIL


def test_errors_that_a_retry_hid_from_the_server_count(build):
    def hidden(second):
        gateway = GatewayCounters(0.0, second * 150, 0, second * 50, second * 5)
        return build.reading(float(second), build.arm(second * 150), build.arm(second * 50), gateway=gateway)

    assert gate(build.after(build.opened(25), 6, hidden)).verdict is Verdict.FAIL


def test_at_full_weight_the_champions_record_and_the_margin_are_the_limit(build):
    record = build.reading(0.0, build.arm(10_000, errors=100), build.arm(0))

    def full(rate):
        return lambda second: build.reading(
            float(second), build.arm(10_000, errors=100), build.arm(second * 200, errors=int(second * 200 * rate))
        )

    assert gate(build.after(build.opened(100, baseline=record), 20, full(0.012))).verdict is Verdict.PASS
    assert gate(build.after(build.opened(100, baseline=record), 20, full(0.2))).verdict is Verdict.FAIL


def test_mirrored_requests_that_the_candidate_fails_stop_it_before_any_user_met_it(build):
    def failing(second):
        return build.reading(float(second), build.arm(second * 200), mirror=build.arm(second * 100, errors=second * 10))

    assert gate(build.after(build.opened(None), 5, failing)).verdict is Verdict.FAIL


@pytest.mark.parametrize("gone", ["gateway", "champion"])
def test_a_missing_source_never_passes(build, gone):
    def blind(second):
        return replace(service(build, 50)(second), **{gone: None, "missing": (f"{gone}: no answer",)})

    verdict = gate(build.after(build.opened(50), 30, blind))
    assert (verdict.verdict, verdict.reason) == (Verdict.INCONCLUSIVE, "source_missing")
    assert f"{gone}: no answer" in verdict.message
