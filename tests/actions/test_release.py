"""The verbs of a rollout over the shipped fakes, on a virtual clock."""

import pytest

from sluicegate.actions.release import (
    champion_version,
    deploy,
    enter_stage,
    open_rollout,
    open_watch,
    promote,
    retire,
    revert,
    rollout,
    status,
)
from sluicegate.actions.release.stage import stage_route
from sluicegate.domain.rollout import Kind, Outcome, Phase
from sluicegate.domain.verdict import Verdict
from sluicegate.errors import LockedError, PackageError, RefusedError, StaleTokenError
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import begin, enter, watch_until_decided, weight, world


@pytest.fixture
def ports() -> FakePorts:
    return world()


def pass_stage(ports: FakePorts, rollout_id: str, index: int) -> None:
    assert watch_until_decided(ports, enter(ports, rollout_id, index)) == "pass"


def take_away(ports: FakePorts, rollout_id: str) -> None:
    """What the guard does when nobody renews the lease."""
    ports.clock.sleep(10.1)
    ports.router.enforce(ports.clock.now())
    ports.journal.append("toy", rollout_id, Kind.TROUBLE, {}, author="guard", reason="LEASE_EXPIRED")


class TestFirstVersion:
    def test_it_is_promoted_without_stages_since_nothing_can_be_compared(self, ports: FakePorts) -> None:
        state = status(ports, "toy")
        assert state is not None
        assert (state.outcome, state.reason, state.stages) == (Outcome.PROMOTED, "first_version", ())
        assert champion_version(ports, "toy") == "1"
        assert ports.registry.aliases == {"champion": "1"}


class TestHealthyCandidate:
    def test_it_passes_every_stage_and_becomes_champion(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        weights = []
        for index in range(4):
            pass_stage(ports, rollout_id, index)
            weights.append(weight(ports))
        ended = promote(ports, "toy", rollout_id, author="test")
        assert weights == [0, 10, 50, 100]
        assert ended.outcome is Outcome.PROMOTED
        assert champion_version(ports, "toy") == "2"
        assert ports.registry.aliases == {"champion": "2"}
        assert ports.journal.locks().get("toy") is None

    def test_the_old_champion_stays_warm_until_it_is_retired(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        for index in range(4):
            pass_stage(ports, rollout_id, index)
        promote(ports, "toy", rollout_id, author="test")
        assert [s.target.version for s in ports.runtime.status("toy")] == ["1", "2"]
        assert retire(ports, "toy", rollout_id, author="test").retired
        assert [s.target.version for s in ports.runtime.status("toy")] == ["2"]

    def test_asking_twice_for_every_verb_changes_nothing(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        assert begin(ports) == rollout_id
        for index in range(4):
            pass_stage(ports, rollout_id, index)
        once = promote(ports, "toy", rollout_id, author="test")
        assert promote(ports, "toy", rollout_id, author="test") == once
        assert len(ports.journal.events("toy", kinds=(Kind.PROMOTED,))) == 2


class TestHarmfulCandidate:
    def test_a_breach_cuts_the_traffic_before_anything_is_written(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        watch = open_watch(ports, "toy", rollout_id, 1, author="test")
        ports.meter.candidate.slow = 0.6
        assert watch_until_decided(ports, watch) == "fail"
        state = rollout(ports, "toy", rollout_id)
        assert weight(ports) == 0
        assert (state.phase, state.records[-1].gate, state.records[-1].verdict) == (Phase.FAILED, "p95_ms", "FAIL")

    def test_it_is_reverted_and_its_server_stopped(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        ports.meter.candidate.slow = 0.6
        watch_until_decided(ports, open_watch(ports, "toy", rollout_id, 1, author="test"))
        ended = revert(ports, "toy", rollout_id, author="test", reason="gate")
        assert (ended.outcome, ended.reason) == (Outcome.REVERTED, "slower_than_bound")
        assert [s.target.version for s in ports.runtime.status("toy")] == ["1"]
        assert champion_version(ports, "toy") == "1"
        assert ports.journal.locks().get("toy") is None

    def test_it_can_neither_be_promoted_nor_enter_another_stage(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        ports.meter.candidate.slow = 0.6
        watch_until_decided(ports, open_watch(ports, "toy", rollout_id, 1, author="test"))
        with pytest.raises(RefusedError):
            promote(ports, "toy", rollout_id, author="test")
        with pytest.raises(RefusedError):
            enter_stage(ports, "toy", rollout_id, 2, author="test")

    def test_a_broken_artefact_never_gets_traffic(self, ports: FakePorts) -> None:
        ports.runtime.broken = ("2",)
        opened = open_rollout(ports, "toy", "2", author="test", run_id="x")
        with pytest.raises(PackageError, match="golden"):
            deploy(ports, "toy", opened.rollout_id, author="test")
        assert weight(ports) == 0


class TestNoEvidence:
    def test_a_gone_metric_source_never_promotes_and_reverts_at_the_deadline(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        watch = open_watch(ports, "toy", rollout_id, 1, author="test")
        ports.meter.gone = "the metric source does not answer"
        assert watch_until_decided(ports, watch) == "undecided"
        assert rollout(ports, "toy", rollout_id).records[-1].verdict == "INCONCLUSIVE"
        assert weight(ports) == 0

    def test_without_any_traffic_no_stage_passes(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        ports.meter.rate = 0.0
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        watch = open_watch(ports, "toy", rollout_id, 0, author="test")
        assert watch_until_decided(ports, watch) == "undecided"

    def test_promotion_is_refused_while_a_stage_has_not_passed(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        with pytest.raises(RefusedError, match="1 of 4"):
            promote(ports, "toy", rollout_id, author="test")


class TestStagesInOrder:
    def test_a_stage_cannot_be_jumped(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        with pytest.raises(RefusedError, match="never jumped"):
            enter_stage(ports, "toy", rollout_id, 1, author="test")

    def test_nothing_grows_without_a_pass(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        with pytest.raises(RefusedError, match="not passed"):
            enter_stage(ports, "toy", rollout_id, 1, author="test")

    def test_entering_the_present_stage_again_writes_no_second_entry(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        assert len(ports.journal.events("toy", rollout_id, kinds=(Kind.STAGE_ENTERED,))) == 1


class TestOneRolloutAtATime:
    def test_a_second_rollout_is_refused_by_the_name_of_the_first(self, ports: FakePorts) -> None:
        first = begin(ports, "2")
        with pytest.raises(LockedError, match=first):
            open_rollout(ports, "toy", "3", author="test", run_id="other")

    def test_a_fenced_off_watcher_writes_nothing_and_says_lost(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        watch = open_watch(ports, "toy", rollout_id, 0, author="test")
        revert(ports, "toy", rollout_id, author="person", reason="second thoughts")
        begin(ports, "3")
        before = len(ports.journal.events("toy", rollout_id))
        ports.clock.sleep(1)
        assert watch.look().decision == "lost"
        assert len(ports.journal.events("toy", rollout_id)) == before

    def test_a_stale_token_cannot_move_traffic(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        stale = ports.router.read("toy")
        revert(ports, "toy", rollout_id, author="person", reason="x")
        enter_stage(ports, "toy", begin(ports, "3"), 0, author="test")
        assert stale is not None
        with pytest.raises(StaleTokenError):
            ports.router.apply(stale)


class TestWatcherDies:
    def test_a_new_watcher_goes_on_with_the_evidence_of_the_old_one(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        old = open_watch(ports, "toy", rollout_id, 0, author="test")
        for _ in range(6):
            ports.clock.sleep(0.5)
            old.look()
        new = open_watch(ports, "toy", rollout_id, 0, author="test")
        ports.clock.sleep(0.5)
        seen_by_both = [watch.look().verdict.to_dict() for watch in (old, new)]
        assert seen_by_both[0]["verdict"] == Verdict.INCONCLUSIVE
        assert seen_by_both[0] == seen_by_both[1]

    def test_nobody_renews_and_the_guard_takes_the_weight_back(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        assert weight(ports) == 10
        ports.clock.sleep(10.1)
        ports.router.enforce(ports.clock.now())
        assert weight(ports) == 0

    def test_a_weight_that_the_guard_took_is_given_back_once_to_a_new_watcher(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        take_away(ports, rollout_id)
        watch = open_watch(ports, "toy", rollout_id, 1, author="test")
        assert weight(ports) == 10
        assert watch_until_decided(ports, watch) == "pass"

    def test_a_weight_that_was_taken_twice_is_not_given_back_again(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        take_away(ports, rollout_id)
        open_watch(ports, "toy", rollout_id, 1, author="test")
        take_away(ports, rollout_id)
        with pytest.raises(RefusedError, match="not given back"):
            open_watch(ports, "toy", rollout_id, 1, author="test")
        assert weight(ports) == 0

    def test_a_judge_that_dies_between_cut_and_journal_leaves_the_weight_at_zero(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        route = ports.router.read("toy")
        assert route is not None
        ports.router.apply(route.cut())
        with pytest.raises(RefusedError, match="not given back"):
            open_watch(ports, "toy", rollout_id, 1, author="test")
        assert weight(ports) == 0

    def test_a_decided_stage_is_not_watched_again(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        with pytest.raises(RefusedError, match="not open"):
            open_watch(ports, "toy", rollout_id, 0, author="test")


class TestRaces:
    def test_a_stage_that_is_entered_while_the_rollout_is_reverted_gives_no_weight(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        late = stage_route(ports, rollout(ports, "toy", rollout_id), 1)
        revert(ports, "toy", rollout_id, author="person", reason="now")
        with pytest.raises(StaleTokenError):
            ports.router.apply(late)
        with pytest.raises(RefusedError):
            enter_stage(ports, "toy", rollout_id, 1, author="test")
        assert weight(ports) == 0

    def test_a_stage_that_is_entered_late_after_a_watchers_cut_gives_no_weight(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        pass_stage(ports, rollout_id, 0)
        watch = enter(ports, rollout_id, 1)
        late = stage_route(ports, rollout(ports, "toy", rollout_id), 1)
        ports.meter.candidate.errors = 1.0
        ports.clock.sleep(watch.look_every)
        assert watch.look().decision == "fail"
        with pytest.raises(StaleTokenError):
            ports.router.apply(late)
        assert weight(ports) == 0

    def test_promote_and_revert_at_once_have_one_winner(self, ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> None:
        rollout_id = begin(ports)
        for index in range(4):
            pass_stage(ports, rollout_id, index)
        stale = rollout(ports, "toy", rollout_id)
        promote(ports, "toy", rollout_id, author="dag")
        monkeypatch.setattr("sluicegate.actions.release.end.rollout", lambda *_: stale)
        with pytest.raises(RefusedError):
            revert(ports, "toy", rollout_id, author="person", reason="late")
        route = ports.router.read("toy")
        assert route is not None
        assert route.champion.version == "2"
        assert "2" in [s.target.version for s in ports.runtime.status("toy")]

    def test_a_candidate_that_was_compared_with_an_older_champion_is_refused(self, ports: FakePorts) -> None:
        ports.register("4", champion="0")
        with pytest.raises(RefusedError, match="compared with version 0, but the champion is 1"):
            open_rollout(ports, "toy", "4", author="test", run_id="x")


class TestRefusals:
    def test_an_unknown_version_is_refused_with_the_known_ones(self, ports: FakePorts) -> None:
        with pytest.raises(RefusedError, match=r"'9'.*1, 2, 3"):
            open_rollout(ports, "toy", "9", author="test", run_id="x")

    def test_the_champion_is_not_released_against_itself(self, ports: FakePorts) -> None:
        with pytest.raises(RefusedError, match="champion already"):
            open_rollout(ports, "toy", "1", author="test", run_id="x")

    def test_a_version_that_the_comparison_rejected_is_refused(self, ports: FakePorts) -> None:
        ports.register("4", release=False)
        with pytest.raises(RefusedError, match="not released"):
            open_rollout(ports, "toy", "4", author="test", run_id="x")

    def test_the_champion_is_never_retired_while_it_has_a_route(self, ports: FakePorts) -> None:
        rollout_id = begin(ports)
        with pytest.raises(RefusedError, match="not promoted"):
            retire(ports, "toy", rollout_id, author="test")
