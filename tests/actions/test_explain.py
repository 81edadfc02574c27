"""Why a verdict is what it is, in words that a person can act on."""

import json

import pytest

from sluicegate.actions.release import abort, approve, explain, pause, promote, reinstate, retire, revert
from sluicegate.actions.release.why import Explanation
from sluicegate.errors import RefusedError
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import begin, enter, pass_stages, watch_until_decided, world

ANNA = {"author": "anna", "reason": "numbers look odd"}


@pytest.fixture
def ports() -> FakePorts:
    return world(look_every="2s")


def said(ports: FakePorts, mine: str) -> Explanation:
    return explain(ports, "toy", mine)


class TestBeforeTheEnd:
    def test_before_the_first_stage_there_is_nothing_to_judge(self, ports: FakePorts) -> None:
        told = said(ports, begin(ports))
        assert (told.verdict, told.gates) == (None, ())
        assert told.next == "stage 1 follows (mirror)"

    def test_every_gate_is_told_with_what_was_seen_its_bound_and_its_budget(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch_until_decided(ports, enter(ports, mine, 1), looks=1)
        told = said(ports, mine)
        assert told.standing.startswith("version 2 for champion 1 is at stage 2 of 4 (10 % of the users)")
        assert [g["gate"] for g in told.gates] == ["p95_ms", "error_rate"]
        assert {"harm", "harm_high", "alpha", "requests"} <= set(told.gates[0]["numbers"])
        assert told.verdict == "INCONCLUSIVE"
        assert told.missing

    def test_it_tells_how_long_there_is_left_and_what_happens_then(self, ports: FakePorts) -> None:
        mine = begin(ports)
        ports.meter.rate = 0.0
        watch_until_decided(ports, enter(ports, mine, 0), looks=5)
        assert said(ports, mine).next == "without a verdict the candidate is taken back in 40 s"

    def test_a_pass_tells_the_next_stage_and_the_last_one_the_promotion(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        assert said(ports, mine).next == "stage 2 follows (10 % of the users)"
        for index in (1, 2, 3):
            watch_until_decided(ports, enter(ports, mine, index))
        assert said(ports, mine).next == "version 2 becomes champion"

    def test_people_are_named_with_what_they_did(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pause(ports, "toy", mine, **ANNA)
        told = said(ports, mine)
        assert told.people == ("paused by anna: numbers look odd",)
        assert "`resume` lets it go on" in told.next

    def test_a_stage_that_waits_for_a_yes_says_so(self) -> None:
        ports = world(stages={0: {"approve": True}}, look_every="2s")
        mine = begin(ports)
        watch_until_decided(ports, enter(ports, mine, 0), looks=20)
        assert said(ports, mine).next == "stage 2 follows (10 % of the users), once a person approves it"
        approve(ports, "toy", mine, **ANNA)
        assert said(ports, mine).next == "stage 2 follows (10 % of the users)"

    def test_a_watcher_that_is_gone_is_missed(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch_until_decided(ports, enter(ports, mine, 0), looks=2)
        ports.clock.sleep(30)
        assert any("nobody has looked for 30 s" in what for what in said(ports, mine).missing)

    def test_withdrawn_traffic_is_told(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        ports.meter.gone = "the metric source does not answer"
        watch_until_decided(ports, watch, looks=20)
        assert "withdrawn since nothing could be read" in said(ports, mine).standing

    @pytest.mark.parametrize(
        ("rate", "after"), [(20, "`approve` lets this early stage go on"), (0.1, "held until the evidence decides")]
    )
    def test_a_held_stage_says_whether_a_yes_would_help(self, rate: float, after: str) -> None:
        ports = world(stages={1: {"deadline": "20s"}}, undecided="hold", look_every="2s")
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        ports.meter.rate, ports.meter.candidate.slow = rate, 0.1
        watch_until_decided(ports, enter(ports, mine, 1), looks=15)
        assert after in said(ports, mine).next


class TestAfterTheEnd:
    def test_a_fail_names_the_gate_that_saw_harm(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        ports.meter.candidate.slow = 0.6
        watch_until_decided(ports, watch)
        told = said(ports, mine)
        assert (told.verdict, told.gates[0]["verdict"]) == ("FAIL", "FAIL")
        assert told.because.startswith("slower_than_bound: p95_ms")
        assert "ends REVERTED: `revert` finishes it" in told.next
        revert(ports, "toy", mine, author="dag", reason="gate")
        assert said(ports, mine).next == "nothing: this rollout is over"

    def test_an_abort_tells_who_and_why(self, ports: FakePorts) -> None:
        mine = begin(ports)
        abort(ports, "toy", mine, **ANNA)
        told = said(ports, mine)
        assert told.standing == "version 2 for champion 1 has ended ABORTED (numbers look odd)"
        assert told.people == ("cut by anna: numbers look odd",)

    def test_a_promotion_tells_for_how_long_the_old_champion_is_warm(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 4)
        promote(ports, "toy", mine, author="test")
        ports.clock.sleep(400)
        assert said(ports, mine).next == "version 1 stays warm for 86000 s more: until then `reinstate` brings it back"
        reinstate(ports, "toy", mine, **ANNA)
        assert "taken back: version 1 serves again" in said(ports, mine).standing

    def test_after_the_retirement_nothing_is_left_to_do(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 4)
        promote(ports, "toy", mine, author="test")
        retire(ports, "toy", mine, **ANNA)
        assert said(ports, mine).next == "nothing: this rollout is over"


def test_it_is_plain_json(ports: FakePorts) -> None:
    mine = begin(ports)
    watch_until_decided(ports, enter(ports, mine, 0), looks=3)
    assert json.loads(json.dumps(said(ports, mine).to_dict()))["rollout"] == mine


def test_an_unknown_rollout_is_refused_with_where_to_look(ports: FakePorts) -> None:
    with pytest.raises(RefusedError, match="sluicegate history toy"):
        said(ports, "nowhere")
