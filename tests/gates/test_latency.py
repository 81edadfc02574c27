"""Gate p95_ms, with literal counts."""

import pytest

from sluicegate.domain.verdict import Verdict
from sluicegate.gates import judge


def gate(case):
    return next(g for g in judge(case).gates if g.gate == "p95_ms")


def slow_service(build, candidate_slow, champion_slow=0.0, weight=25, rate=150):
    def make(second):
        mine, other = second * rate * weight // 100, second * rate * (100 - weight) // 100
        champion = build.arm(other, slow=int(other * champion_slow))
        return build.reading(
            float(second), champion, build.arm(mine, slow=int(mine * candidate_slow)), pairs=build.pairs(other // 2)
        )

    return make


def test_thirty_percent_slow_requests_fail_within_a_hundred_candidate_requests(build):
    case = build.after(build.opened(25), 2, slow_service(build, 0.3))
    verdict = gate(case)
    assert (verdict.verdict, verdict.reason) == (Verdict.FAIL, "slower_than_bound")
    assert verdict.numbers["requests"] <= 100


@pytest.mark.parametrize("share", [0.0, 0.01, 0.04])
def test_a_share_below_five_percent_never_fails(build, share):
    case = build.opened(25)
    for second in range(1, 100):
        case = build.after(case, 1, lambda _, s=second: slow_service(build, share)(s))
        assert gate(case).verdict is not Verdict.FAIL


def test_four_hundred_requests_with_one_percent_slow_pass(build):
    assert gate(build.after(build.opened(25), 12, slow_service(build, 0.01))).verdict is Verdict.PASS


def test_a_candidate_as_slow_as_the_champion_does_not_fail(build):
    case = build.after(build.opened(50), 60, slow_service(build, 0.3, champion_slow=0.3, weight=50))
    assert gate(case).verdict is not Verdict.FAIL


def test_a_candidate_much_slower_than_a_slow_champion_fails(build):
    case = build.after(build.opened(50), 10, slow_service(build, 0.8, champion_slow=0.2, weight=50))
    assert gate(case).verdict is Verdict.FAIL


def test_slow_requests_of_one_user_weigh_less_than_those_of_many(build):
    def one_user(second):
        counted = tuple(second * 7 if place == 0 else 0 for place in range(200))
        return build.reading(float(second), build.arm(second * 112), build.arm(second * 37, slow={"25": counted}))

    many = build.after(build.opened(25), 3, slow_service(build, 0.19))
    one = build.after(build.opened(25), 3, one_user)
    assert gate(many).numbers["log_evidence"] > gate(one).numbers["log_evidence"]


def test_at_full_weight_the_bound_alone_counts(build):
    case = build.after(build.opened(100), 4, slow_service(build, 0.3, weight=100))
    assert gate(case).verdict is Verdict.FAIL


def test_a_bound_that_the_candidate_does_not_count_is_not_measured(build):
    def blind(second):
        return build.reading(float(second), build.arm(second * 100), build.arm(second * 40, slow={}))

    verdict = gate(build.after(build.opened(25), 10, blind))
    assert (verdict.verdict, verdict.reason) == (Verdict.INCONCLUSIVE, "not_measured")


def test_latency_of_mirrored_requests_is_not_gated(build):
    def slow_mirror(second):
        return build.reading(float(second), build.arm(second * 150), mirror=build.arm(second * 75, slow=second * 75))

    case = build.after(build.opened(None), 10, slow_mirror)
    assert "p95_ms" not in [g.gate for g in judge(case).gates]


class TestAlone:
    """At weight 100 no champion tells weather from harm."""

    @staticmethod
    def turning(build, shares, rate=150):
        """One look a second in which these shares of the requests are slow."""
        slow = [0]
        for share in shares:
            slow.append(slow[-1] + int(rate * share))
        return lambda second: build.reading(float(second), build.arm(1), build.arm(second * rate, slow=slow[second]))

    def test_a_bad_quarter_of_an_hour_in_a_good_hour_is_no_harm(self, build):
        shares = [0.01] * 30 + [0.12] * 10 + [0.01] * 20
        case = build.opened(100)
        for second in range(1, 61):
            case = build.after(case, 1, lambda _, s=second: self.turning(build, shares)(s))
            assert gate(case).verdict is not Verdict.FAIL

    def test_a_candidate_that_turns_slow_fails_within_eight_looks(self, build):
        case = build.after(build.opened(100), 38, self.turning(build, [0.01] * 30 + [0.3] * 8))
        assert gate(case).reason == "slower_than_bound"

    def test_a_candidate_that_is_always_a_little_too_slow_fails(self, build):
        case = build.after(build.opened(100), 120, self.turning(build, [0.10] * 120))
        assert gate(case).reason == "slower_than_bound"
