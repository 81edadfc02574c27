"""What people do to an open rollout, over the fakes on a virtual clock: seen by the watcher at its next look."""

import pytest

from sluicegate.actions.release import (
    abort,
    approve,
    champion_version,
    enter_stage,
    open_watch,
    pause,
    promote,
    resume,
    revert,
    rollout,
    status,
)
from sluicegate.domain.rollout import Kind, Outcome, Phase
from sluicegate.errors import PausedError, RefusedError, StaleTokenError
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import begin, enter, pass_stages, watch_until_decided, weight, world

ANNA = {"author": "anna", "reason": "numbers look odd"}


@pytest.fixture
def ports() -> FakePorts:
    return world(look_every="2s")


class TestPause:
    def test_a_paused_stage_is_watched_and_held_but_not_left(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        pause(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch, looks=20) == "never"
        assert (weight(ports), ports.router.enforce(ports.clock.now())) == (10, [])

    def test_harm_is_cut_during_a_pause_as_ever(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        pause(ports, "toy", mine, **ANNA)
        ports.meter.candidate.slow = 0.6
        assert (watch_until_decided(ports, watch), weight(ports)) == ("fail", 0)

    def test_no_stage_is_entered_and_nothing_promoted_before_a_resume(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        pause(ports, "toy", mine, **ANNA)
        with pytest.raises(PausedError, match="after it is resumed"):
            enter_stage(ports, "toy", mine, 1, author="dag")
        resume(ports, "toy", mine, **ANNA)
        for index in range(1, 4):
            assert watch_until_decided(ports, enter(ports, mine, index)) == "pass"
        pause(ports, "toy", mine, **ANNA)
        with pytest.raises(PausedError, match="resume it first"):
            promote(ports, "toy", mine, author="dag")
        resume(ports, "toy", mine, **ANNA)
        assert promote(ports, "toy", mine, author="dag").outcome is Outcome.PROMOTED

    def test_the_deadline_is_later_by_as_long_as_the_pause_lasted(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 2)
        ports.meter.rate = 0.1
        watch = enter(ports, mine, 2)  # its deadline is 60 s
        pause(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch, looks=40) == "never"
        resume(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch, looks=28) == "never"
        assert watch_until_decided(ports, watch, looks=5) == "undecided"

    def test_pausing_twice_is_one_pause(self, ports: FakePorts) -> None:
        mine = begin(ports)
        once = pause(ports, "toy", mine, **ANNA)
        assert pause(ports, "toy", mine, author="ben", reason="me too") == once
        assert [e.author for e in ports.journal.events("toy", mine, kinds=(Kind.PAUSED,))] == ["anna"]

    def test_a_rollout_that_is_not_paused_cannot_be_resumed(self, ports: FakePorts) -> None:
        with pytest.raises(RefusedError, match="is not paused"):
            resume(ports, "toy", begin(ports), **ANNA)

    @pytest.mark.parametrize("verb", [pause, resume, approve])
    def test_what_has_ended_cannot_be_acted_on(self, ports: FakePorts, verb) -> None:
        mine = begin(ports)
        revert(ports, "toy", mine, **ANNA)
        with pytest.raises(RefusedError, match="has ended REVERTED"):
            verb(ports, "toy", mine, **ANNA)


class TestApprovalOfAPassedStage:
    @pytest.fixture
    def ports(self) -> FakePorts:
        """The plan asks a person before anybody is exposed, and again before the promotion."""
        return world(stages={0: {"approve": True}, 3: {"approve": True}}, look_every="2s")

    def test_a_pass_is_not_enough(self, ports: FakePorts) -> None:
        mine = begin(ports)
        assert watch_until_decided(ports, enter(ports, mine, 0), looks=30) == "never"

    def test_people_are_asked_once(self, ports: FakePorts) -> None:
        watch = enter(ports, begin(ports), 0)
        looks = []
        for _ in range(20):
            ports.clock.sleep(2)
            looks.append(watch.look())
        assert [look.notice.what for look in looks if look.notice] == ["approval_asked"]
        assert (looks[-1].decision, looks[-1].why, looks[-1].verdict.verdict) == ("held", "approval", "PASS")

    def test_a_yes_that_comes_after_the_pass_lets_it_go_on(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch = enter(ports, mine, 0)
        watch_until_decided(ports, watch, looks=20)
        approve(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch, looks=1) == "pass"

    def test_a_yes_that_comes_before_the_pass_still_needs_the_pass(self, ports: FakePorts) -> None:
        mine = begin(ports)
        ports.meter.rate = 0.0
        watch = enter(ports, mine, 0)
        approve(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch, looks=20) == "never"

    def test_a_yes_is_for_one_stage(self, ports: FakePorts) -> None:
        mine = begin(ports)
        for index in range(3):
            watch = enter(ports, mine, index)
            if index == 0:
                approve(ports, "toy", mine, **ANNA)
            assert watch_until_decided(ports, watch) == "pass"
        assert watch_until_decided(ports, enter(ports, mine, 3), looks=20) == "never"

    def test_harm_after_the_yes_is_cut(self, ports: FakePorts) -> None:
        mine = begin(ports)
        ports.meter.candidate.errors = 0.5
        watch = enter(ports, mine, 0)
        approve(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch) == "fail"

    def test_a_yes_given_before_a_crash_counts_for_the_next_watcher(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch_until_decided(ports, enter(ports, mine, 0), looks=20)
        approve(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, open_watch(ports, "toy", mine, 0, author="test"), looks=1) == "pass"

    def test_a_stage_that_asks_nobody_refuses_a_yes(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch = enter(ports, mine, 0)
        approve(ports, "toy", mine, **ANNA)
        watch_until_decided(ports, watch)
        enter(ports, mine, 1)
        with pytest.raises(RefusedError, match="does not ask for approval"):
            approve(ports, "toy", mine, **ANNA)

    def test_between_stages_there_is_nothing_to_approve(self, ports: FakePorts) -> None:
        with pytest.raises(RefusedError, match="at no stage now"):
            approve(ports, "toy", begin(ports), **ANNA)


class TestApprovalOfAnUndecidedStage:
    @pytest.fixture
    def ports(self) -> FakePorts:
        return world(stages={1: {"deadline": "20s", "min_requests": 20}}, undecided="hold", look_every="2s")

    def undecided(self, ports: FakePorts, mine: str):
        """Past the deadline of stage 1: of few requests somewhat more are slow than the bound allows, too few to tell."""
        pass_stages(ports, mine, 1)
        ports.meter.rate, ports.meter.candidate.slow = 20, 0.1
        watch = enter(ports, mine, 1)
        assert watch_until_decided(ports, watch, looks=15) == "never"
        return watch

    def test_it_is_held_after_its_deadline_and_people_are_told(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch = self.undecided(ports, mine)
        look = watch.look()
        assert (look.decision, look.why) == ("held", "deadline")
        assert [e.data["reason"] for e in ports.journal.events("toy", mine, kinds=(Kind.APPROVAL_ASKED,))] == ["deadline"]

    def test_a_person_lets_an_early_stage_go_on_and_the_record_says_so(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch = self.undecided(ports, mine)
        approve(ports, "toy", mine, **ANNA)
        assert watch_until_decided(ports, watch, looks=1) == "pass"
        record = rollout(ports, "toy", mine).records[1]
        assert (record.verdict, record.reason, record.passed) == ("INCONCLUSIVE", "approved_undecided", True)

    def test_missing_evidence_is_not_approved(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch = self.undecided(ports, mine)
        ports.meter.gone = "the metric source does not answer"
        ports.clock.sleep(0.5)
        watch.look()
        with pytest.raises(RefusedError, match="source_missing"):
            approve(ports, "toy", mine, **ANNA)

    def test_before_its_deadline_the_judge_is_still_looking(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        enter(ports, mine, 1)
        with pytest.raises(RefusedError, match="not past its deadline"):
            approve(ports, "toy", mine, **ANNA)

    def test_a_stage_that_needs_a_pass_of_every_gate_is_not_approved(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 2)
        ports.meter.rate = 0.1
        watch = enter(ports, mine, 2)
        assert watch_until_decided(ports, watch, looks=40) == "never"
        with pytest.raises(RefusedError, match="needs a PASS of every gate"):
            approve(ports, "toy", mine, **ANNA)


class TestAbort:
    def test_a_person_ends_it_with_a_name_and_a_reason(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        ended = abort(ports, "toy", mine, **ANNA)
        assert (ended.outcome, ended.reason, weight(ports)) == (Outcome.ABORTED, "numbers look odd", 0)
        assert watch_until_decided(ports, watch, looks=1) == "lost"
        assert champion_version(ports, "toy") == "1"

    def test_the_way_back_of_the_dag_changes_nothing_of_it(self, ports: FakePorts) -> None:
        mine = begin(ports)
        ended = abort(ports, "toy", mine, **ANNA)
        assert revert(ports, "toy", mine, author="dag", reason="task_failed") == ended

    def test_an_abort_that_was_killed_after_the_cut_ends_as_an_abort(self, ports: FakePorts, monkeypatch) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        enter(ports, mine, 1)
        with monkeypatch.context() as killed:
            killed.setattr("sluicegate.actions.release.end.verify", interrupted)
            with pytest.raises(KeyboardInterrupt):
                abort(ports, "toy", mine, **ANNA)
        assert (weight(ports), rollout(ports, "toy", mine).ending) == (0, Outcome.ABORTED)
        ended = revert(ports, "toy", mine, author="dag", reason="task_failed")
        assert (ended.outcome, ended.reason) == (Outcome.ABORTED, "numbers look odd")

    def test_what_the_judge_has_reverted_is_not_aborted(self, ports: FakePorts) -> None:
        mine = begin(ports)
        revert(ports, "toy", mine, author="dag", reason="gate")
        with pytest.raises(RefusedError, match="has ended REVERTED"):
            abort(ports, "toy", mine, **ANNA)

    def test_what_is_promoted_is_reinstated_not_aborted(self, ports: FakePorts) -> None:
        first = status(ports, "toy")
        assert first is not None
        with pytest.raises(RefusedError, match="re-instate"):
            abort(ports, "toy", first.rollout_id, **ANNA)

    def test_a_verb_of_an_older_rollout_writes_nothing(self, ports: FakePorts, monkeypatch) -> None:
        old = begin(ports)
        stale = rollout(ports, "toy", old)
        abort(ports, "toy", old, **ANNA)
        begin(ports, "3")
        monkeypatch.setattr("sluicegate.actions.release.people.rollout", lambda *_: stale)
        with pytest.raises((StaleTokenError, RefusedError)):
            pause(ports, "toy", old, **ANNA)
        assert ports.journal.events("toy", old, kinds=(Kind.PAUSED,)) == []


class TestSupersede:
    def test_a_newer_candidate_waits_unless_the_spec_says_otherwise(self, ports: FakePorts) -> None:
        mine = begin(ports)
        watch = enter(ports, mine, 0)
        ports.register("4")
        assert watch_until_decided(ports, watch) == "pass"

    def test_a_newer_candidate_takes_over_when_the_spec_says_so(self) -> None:
        ports = world(newer="supersede", look_every="2s")
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        ports.register("4")
        assert (watch_until_decided(ports, watch), weight(ports)) == ("superseded", 0)
        ended = revert(ports, "toy", mine, author="dag", reason="task_failed")
        assert (ended.outcome, ended.reason, ended.phase) == (Outcome.SUPERSEDED, "superseded", Phase.ENDED)

    def test_a_version_that_is_not_released_supersedes_nothing(self) -> None:
        ports = world(newer="supersede", look_every="2s")
        watch = enter(ports, begin(ports), 0)
        ports.register("4", release=False)
        assert watch_until_decided(ports, watch) == "pass"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
