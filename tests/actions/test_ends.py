"""What follows the end of a rollout: the cut first, then work that may fail and is done again without touching the traffic."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sluicegate.actions.release import (
    abort,
    champion_version,
    cut_by_hand,
    cut_now,
    enter_stage,
    open_rollout,
    promote,
    reinstate,
    retire,
    revert,
    rollout,
    status,
    take_back,
)
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.domain.route import Route
from sluicegate.errors import LockedError, RefusedError, StaleTokenError, UnavailableError, UnfinishedError
from sluicegate.ports import Event
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import begin, enter, pass_stages, watch_until_decided, weight, world

ANNA = {"author": "anna", "reason": "customers call"}


@pytest.fixture
def ports() -> FakePorts:
    return world(look_every="2s")


@pytest.fixture
def exposed(ports: FakePorts) -> str:
    """A rollout at 10 %."""
    mine = begin(ports)
    pass_stages(ports, mine, 1)
    enter(ports, mine, 1)
    return mine


@pytest.fixture
def promoted(ports: FakePorts) -> str:
    """Version 2 has replaced version 1."""
    mine = begin(ports)
    pass_stages(ports, mine, 4)
    promote(ports, "toy", mine, author="test")
    return mine


def down(*_: object, **__: object) -> None:
    raise UnavailableError("it does not answer")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


class TestWhatFollowsARevert:
    def test_the_incident_has_what_when_who_and_the_numbers(self, ports: FakePorts) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 1)
        watch = enter(ports, mine, 1)
        ports.meter.candidate.slow = 0.6
        watch_until_decided(ports, watch)
        ended = revert(ports, "toy", mine, author="airflow:toy_release", reason="gate")
        (incident,) = ports.incidents.recorded.values()
        assert (incident.what, incident.author, incident.at) == ("reverted", "airflow:toy_release", ended.ended_at)
        assert (incident.reason, incident.numbers["gate"], incident.numbers["verified"]) == ("slower_than_bound", "p95_ms", True)
        assert incident.numbers["gate_numbers"]["requests"] > 0

    def test_people_are_told_what_is_recorded(self, ports: FakePorts, exposed: str) -> None:
        revert(ports, "toy", exposed, **ANNA)
        assert ports.incidents.told[-1] == ports.incidents.recorded[f"{exposed}-reverted"]

    def test_the_journal_says_where_the_incident_is(self, ports: FakePorts, exposed: str) -> None:
        revert(ports, "toy", exposed, **ANNA)
        done = {e.data["what"]: e.data.get("where") for e in ports.journal.events("toy", exposed, kinds=(Kind.FOLLOWED_UP,))}
        assert done["reverted:incident"] == f"memory:{exposed}-reverted"

    @pytest.mark.parametrize(
        ("port", "verb", "left"),
        [
            ("registry", "resolve", "reverted:candidate_alias"),
            ("runtime", "stop", "reverted:server"),
            ("incidents", "record", "reverted:incident"),
            ("incidents", "tell", "reverted:notice"),
        ],
    )
    def test_what_fails_is_named_and_everything_else_is_done(
        self, ports: FakePorts, exposed: str, monkeypatch, port: str, verb: str, left: str
    ) -> None:
        monkeypatch.setattr(getattr(ports, port), verb, down)
        with pytest.raises(UnfinishedError, match=left):
            revert(ports, "toy", exposed, **ANNA)
        state = rollout(ports, "toy", exposed)
        steps = {"reverted:server", "reverted:candidate_alias", "reverted:incident", "reverted:notice"}
        assert (state.outcome, weight(ports), ports.journal.locks().get("toy")) == (Outcome.REVERTED, 0, None)
        assert state.followed_up == steps - {left}

    def test_asked_again_it_does_what_remains_once_and_writes_no_route(self, ports: FakePorts, exposed: str) -> None:
        ports.incidents.deaf = True
        for _ in range(3):
            with pytest.raises(UnfinishedError):
                revert(ports, "toy", exposed, **ANNA)
        ports.incidents.deaf, routes = False, list(ports.router.applied)
        before = len(ports.incidents.told)
        for _ in range(3):
            revert(ports, "toy", exposed, **ANNA)
        assert (len(ports.incidents.told), ports.router.applied) == (before + 1, routes)
        assert len(ports.journal.events("toy", exposed, kinds=(Kind.REVERTED,))) == 1

    def test_what_remains_of_an_old_rollout_takes_nothing_from_a_newer_one(self, ports: FakePorts, exposed: str) -> None:
        ports.runtime.stop, stop = down, ports.runtime.stop
        with pytest.raises(UnfinishedError):
            revert(ports, "toy", exposed, **ANNA)
        newer = open_again(ports)
        ports.runtime.stop = stop
        route = ports.router.read("toy")
        revert(ports, "toy", exposed, **ANNA)
        assert "2" in [s.target.version for s in ports.runtime.status("toy")]
        assert ports.router.read("toy") == route
        assert rollout(ports, "toy", newer).open

    def test_the_alias_of_a_newer_candidate_stays(self, ports: FakePorts, exposed: str) -> None:
        ports.registry.alias("toy", "candidate", "3")
        revert(ports, "toy", exposed, **ANNA)
        assert ports.registry.aliases["candidate"] == "3"


def open_again(ports: FakePorts) -> str:
    """A second rollout of version 2, which mirrors."""
    from sluicegate.actions.release import deploy

    newer = open_rollout(ports, "toy", "2", author="test", run_id="again").rollout_id
    deploy(ports, "toy", newer, author="test")
    enter_stage(ports, "toy", newer, 0, author="test")
    return newer


def promoted_but_not_routed(ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> str:
    """Version 2 is champion by the journal; whoever promoted it was killed before the gateway heard of it."""
    mine = begin(ports)
    pass_stages(ports, mine, 4)
    killed_before_the_route(ports, monkeypatch, lambda: promote(ports, "toy", mine, author="test"))
    return mine


def killed_before_the_route(ports: FakePorts, monkeypatch: pytest.MonkeyPatch, verb: Callable[[], object]) -> None:
    """Whoever carries out the verb dies where the gateway was to hear of it."""
    with monkeypatch.context() as killed:
        killed.setattr(ports.router, "apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            verb()


class TestTwoAtOnce:
    """Another one reverts the rollout between two calls of the first."""

    @pytest.mark.parametrize("kind", [Kind.CUT, Kind.REVERTED])
    @pytest.mark.parametrize("released", [True, False], ids=["lock given back", "killed before the lock"])
    def test_one_revert_is_journaled_and_both_come_to_the_end(
        self, ports: FakePorts, exposed: str, monkeypatch, kind: Kind, released: bool
    ) -> None:
        append, release = ports.journal.append, ports.journal.release

        def overtaken(model: str, rollout_id: str, what: Kind, *args: object, **how: object) -> object:
            if what == kind:
                monkeypatch.setattr(ports.journal, "append", append)
                monkeypatch.setattr(ports.journal, "release", release if released else interrupted)
                with contextlib.suppress(KeyboardInterrupt):
                    revert(ports, "toy", exposed, author="faster", reason="doubt")
                monkeypatch.setattr(ports.journal, "release", release)
            return append(model, rollout_id, what, *args, **how)

        monkeypatch.setattr(ports.journal, "append", overtaken)
        state = revert(ports, "toy", exposed, author="slower", reason="doubt")
        ends = [e.kind for e in ports.journal.events("toy", exposed, kinds=(Kind.CUT, Kind.REVERTED))]
        assert (state.outcome, ends) == (Outcome.REVERTED, [Kind.CUT, Kind.REVERTED])
        assert (ports.journal.locks().get("toy"), weight(ports)) == (None, 0)

    def test_the_lock_of_a_start_that_came_late_and_was_killed_is_given_back(self, ports: FakePorts, exposed: str) -> None:
        revert(ports, "toy", exposed, **ANNA)
        late = ports.journal.acquire("toy", exposed)  # dispatched twice: the other one had looked before the rollout was opened
        revert(ports, "toy", exposed, **ANNA)
        assert ports.journal.locks().get("toy") is None
        with pytest.raises(StaleTokenError):
            ports.journal.append("toy", exposed, Kind.OPENED, {}, author="late", token=late.token)


class TestTheCutNeedsNothingElse:
    def test_a_journal_that_does_not_write_delays_no_cut(self, ports: FakePorts, exposed: str, monkeypatch) -> None:
        monkeypatch.setattr(ports.journal, "append", down)
        with pytest.raises(UnavailableError):
            revert(ports, "toy", exposed, **ANNA)
        assert weight(ports) == 0

    def test_a_supervisor_and_a_registry_that_are_gone_delay_no_cut(self, ports: FakePorts, exposed: str, monkeypatch) -> None:
        for verb in ("status", "stop"):
            monkeypatch.setattr(ports.runtime, verb, down)
        monkeypatch.setattr(ports.registry, "resolve", down)
        with pytest.raises(UnfinishedError):
            revert(ports, "toy", exposed, **ANNA)
        assert weight(ports) == 0

    def test_a_gateway_that_does_not_answer_gets_the_cut_for_when_it_comes_back(self, ports: FakePorts, exposed: str) -> None:
        ports.router.answering = False
        with pytest.raises(UnavailableError):
            revert(ports, "toy", exposed, **ANNA)
        ports.router.answering = True
        assert (weight(ports), rollout(ports, "toy", exposed).open) == (0, True)
        assert revert(ports, "toy", exposed, **ANNA).outcome is Outcome.REVERTED

    def test_the_bare_cut_fences_the_rollout_off(self, ports: FakePorts, exposed: str) -> None:
        was = cut_now(ports, "toy")
        assert (was.weight if was else None, weight(ports)) == (10, 0)
        with pytest.raises(StaleTokenError):
            enter_stage(ports, "toy", exposed, 1, author="a retry")
        assert cut_now(ports, "toy") is None

    def test_the_bare_cut_of_one_rollout_leaves_another_alone(self, ports: FakePorts, exposed: str) -> None:
        assert cut_now(ports, "toy", "another") is None
        assert weight(ports) == 10

    def test_after_a_bare_cut_the_revert_ends_the_rollout(self, ports: FakePorts, exposed: str) -> None:
        cut_now(ports, "toy")
        assert revert(ports, "toy", exposed, **ANNA).outcome is Outcome.REVERTED


class TestCutByHand:
    """Who may cut traffic but stop no server does the first half of an end."""

    def test_the_traffic_is_gone_and_the_rollout_ends_later_as_the_person_said(self, ports: FakePorts, exposed: str) -> None:
        cut_by_hand(ports, "toy", exposed, **ANNA, outcome=Outcome.ABORTED)
        state = rollout(ports, "toy", exposed)
        assert (weight(ports), state.open, len(ports.runtime.status("toy"))) == (0, True, 2)
        ended = revert(ports, "toy", exposed, author="sweep", reason="abandoned")
        assert (ended.outcome, ended.reason) == (Outcome.ABORTED, "customers call")
        assert abort(ports, "toy", exposed, **ANNA) == ended

    def test_asked_twice_it_is_one_and_what_has_ended_is_left_alone(self, ports: FakePorts, exposed: str) -> None:
        for _ in range(2):
            cut_by_hand(ports, "toy", exposed, **ANNA)
        revert(ports, "toy", exposed, **ANNA)
        routes = list(ports.router.applied)
        cut_by_hand(ports, "toy", exposed, **ANNA)
        assert ports.router.applied == routes
        assert len(ports.journal.events("toy", exposed, kinds=(Kind.CUT,))) == 1

    def test_a_journal_that_does_not_write_delays_no_cut(self, ports: FakePorts, exposed: str, monkeypatch) -> None:
        monkeypatch.setattr(ports.journal, "append", down)
        with pytest.raises(UnavailableError):
            cut_by_hand(ports, "toy", exposed, **ANNA)
        assert weight(ports) == 0

    def test_what_was_promoted_in_this_instant_keeps_its_traffic(self, ports: FakePorts, monkeypatch) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 4)
        apply = ports.router.apply

        def overtaken(route: Route) -> None:
            killed_before_the_route(ports, monkeypatch, lambda: promote(ports, "toy", mine, author="faster"))
            monkeypatch.setattr(ports.router, "apply", apply)
            apply(route)

        monkeypatch.setattr(ports.router, "apply", overtaken)
        with pytest.raises(RefusedError):
            cut_by_hand(ports, "toy", mine, **ANNA)
        assert (ports.router.read("toy").champion.version, rollout(ports, "toy", mine).outcome) == ("2", Outcome.PROMOTED)


class TestPromotion:
    def test_an_alias_that_cannot_be_written_holds_no_lock_and_is_written_later(self, ports: FakePorts, monkeypatch) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 4)
        with monkeypatch.context() as gone:
            gone.setattr(ports.registry, "alias", down)
            with pytest.raises(UnfinishedError, match="promoted:alias"):
                promote(ports, "toy", mine, author="test")
        assert (champion_version(ports, "toy"), ports.journal.locks().get("toy")) == ("2", None)
        promote(ports, "toy", mine, author="test")
        assert ports.registry.aliases == {"champion": "2"}

    def test_a_version_that_the_gateway_still_sends_users_to_is_not_stopped_by_a_later_revert(
        self, ports: FakePorts, monkeypatch
    ) -> None:
        promoted_but_not_routed(ports, monkeypatch)
        ports.journal.release("toy", ports.journal.locks().get("toy").token)
        ports.register("1", champion="2", predicted=None)
        back = open_rollout(ports, "toy", "1", author="test", run_id="back").rollout_id
        revert(ports, "toy", back, **ANNA)
        assert ports.router.read("toy").champion.version == "1"
        assert "1" in [s.target.version for s in ports.runtime.status("toy")]

    def test_a_rollout_that_is_cut_in_this_instant_is_not_promoted(self, ports: FakePorts, monkeypatch) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 4)
        stale = rollout(ports, "toy", mine)
        ports.journal.append("toy", mine, Kind.CUT, {"reason": "doubt"}, author="anna", token=stale.token)
        monkeypatch.setattr("sluicegate.actions.release.end.rollout", lambda *_: stale)
        with pytest.raises(RefusedError, match="CUT already"):
            promote(ports, "toy", mine, author="slower")
        assert ports.journal.events("toy", mine, kinds=(Kind.PROMOTED,)) == []

    def test_what_follows_it_stops_no_server_that_a_reinstatement_has_not_yet_taken_the_route_from(
        self, ports: FakePorts, monkeypatch
    ) -> None:
        mine = begin(ports)
        pass_stages(ports, mine, 4)
        release = ports.journal.release

        def overtaken(model: str, token: int, **given: Any) -> None:
            release(model, token, **given)
            data = {"candidate": "2", "champion": "1", "reason": "doubt"}
            ports.journal.append(model, mine, Kind.REINSTATED, data, author="anna")

        monkeypatch.setattr(ports.journal, "release", overtaken)
        promote(ports, "toy", mine, author="test")
        assert ports.router.read("toy").champion.version == "2"
        assert "2" in [s.target.version for s in ports.runtime.status("toy")]

    def test_asked_again_later_it_leaves_the_route_of_a_newer_rollout_alone(self, ports: FakePorts, promoted: str) -> None:
        newer = begin(ports, "3")
        enter(ports, newer, 0)
        route = ports.router.read("toy")
        promote(ports, "toy", promoted, author="test")
        assert ports.router.read("toy") == route


class TestReinstate:
    def test_the_old_champion_has_all_traffic_alias_and_name(self, ports: FakePorts, promoted: str) -> None:
        state = reinstate(ports, "toy", promoted, **ANNA)
        route = ports.router.read("toy")
        assert route is not None
        assert (route.champion.version, route.candidate, champion_version(ports, "toy")) == ("1", None, "1")
        assert (ports.registry.aliases, state.reinstated) == ({"champion": "1"}, True)
        assert [s.target.version for s in ports.runtime.status("toy")] == ["1"]
        assert ports.journal.locks().get("toy") is None

    def test_it_is_an_incident_with_author_and_reason(self, ports: FakePorts, promoted: str) -> None:
        reinstate(ports, "toy", promoted, **ANNA)
        incident = ports.incidents.recorded[f"{promoted}-reinstated"]
        assert (incident.author, incident.reason) == ("anna", "customers call")

    def test_asked_twice_it_is_one(self, ports: FakePorts, promoted: str) -> None:
        once = reinstate(ports, "toy", promoted, **ANNA)
        assert reinstate(ports, "toy", promoted, **ANNA) == once
        assert len(ports.journal.events("toy", kinds=(Kind.REINSTATED,))) == 1

    def test_after_it_a_new_candidate_is_compared_with_the_old_champion(self, ports: FakePorts, promoted: str) -> None:
        reinstate(ports, "toy", promoted, **ANNA)
        assert rollout(ports, "toy", begin(ports, "3")).champion == "1"

    def test_killed_before_the_route_it_is_finished_by_the_next_who_asks(
        self, ports: FakePorts, promoted: str, monkeypatch
    ) -> None:
        killed_before_the_route(ports, monkeypatch, lambda: reinstate(ports, "toy", promoted, **ANNA))
        with pytest.raises(LockedError):
            begin(ports, "3")
        reinstate(ports, "toy", promoted, author="ben", reason="again")
        route = ports.router.read("toy")
        assert route is not None
        assert route.champion.version == "1"
        assert rollout(ports, "toy", begin(ports, "3")).champion == "1"

    def test_one_that_is_refused_leaves_the_lock_to_a_promotion_that_is_not_routed_yet(
        self, ports: FakePorts, monkeypatch
    ) -> None:
        mine = promoted_but_not_routed(ports, monkeypatch)
        lock = ports.journal.locks().get("toy")
        monkeypatch.setattr(ports.runtime, "status", down)
        with pytest.raises(UnavailableError):
            reinstate(ports, "toy", mine, **ANNA)
        assert (lock.holder, ports.journal.locks().get("toy")) == (mine, lock)

    def test_of_two_who_ask_at_once_the_slower_leaves_the_lock_to_the_faster(
        self, ports: FakePorts, promoted: str, monkeypatch
    ) -> None:
        append = ports.journal.append

        def overtaken(model: str, name: str, kind: str, data: dict[str, Any], **given: Any) -> Event:
            if kind is Kind.REINSTATED:
                append(model, name, kind, data, **given | {"author": "faster, and killed before the route"})
            return append(model, name, kind, data, **given)

        with monkeypatch.context() as at_once:
            at_once.setattr(ports.journal, "append", overtaken)
            with pytest.raises(RefusedError, match="REINSTATED already"):
                reinstate(ports, "toy", promoted, **ANNA)
        with pytest.raises(LockedError):
            begin(ports, "3")
        reinstate(ports, "toy", promoted, **ANNA)
        assert ports.router.read("toy").champion.version == "1"

    def test_a_promotion_that_is_asked_again_leaves_the_lock_to_who_takes_it_back(
        self, ports: FakePorts, promoted: str, monkeypatch
    ) -> None:
        killed_before_the_route(ports, monkeypatch, lambda: reinstate(ports, "toy", promoted, **ANNA))
        lock, after = ports.journal.locks().get("toy"), rollout(ports, "toy", promoted)
        monkeypatch.setattr("sluicegate.actions.release.end.rollout", lambda *_: replace(after, reinstated=False))
        promote(ports, "toy", promoted, author="slower")
        assert ports.journal.locks().get("toy") == lock

    def test_a_newer_rollout_has_to_be_aborted_first(self, ports: FakePorts, promoted: str) -> None:
        newer = begin(ports, "3")
        with pytest.raises(LockedError, match=newer):
            reinstate(ports, "toy", promoted, **ANNA)

    def test_a_retired_champion_cannot_come_back_in_a_second(self, ports: FakePorts, promoted: str) -> None:
        retire(ports, "toy", promoted, author="test")
        with pytest.raises(RefusedError, match="is retired"):
            reinstate(ports, "toy", promoted, **ANNA)

    def test_a_champion_whose_server_is_gone_is_not_reinstated(self, ports: FakePorts, promoted: str) -> None:
        ports.runtime.stop("toy", "1")
        with pytest.raises(RefusedError, match="has no server"):
            reinstate(ports, "toy", promoted, **ANNA)
        assert (champion_version(ports, "toy"), ports.journal.locks().get("toy")) == ("2", None)

    def test_a_first_version_has_nobody_before_it(self, ports: FakePorts) -> None:
        first = status(ports, "toy")
        assert first is not None
        with pytest.raises(RefusedError, match="no older champion"):
            reinstate(ports, "toy", first.rollout_id, **ANNA)

    def test_an_open_rollout_is_taken_back_and_a_promoted_one_gives_way(self, ports: FakePorts, exposed: str) -> None:
        assert take_back(ports, "toy", exposed, **ANNA).outcome is Outcome.REVERTED
        newer = begin(ports, "3")
        pass_stages(ports, newer, 4)
        promote(ports, "toy", newer, author="test")
        assert take_back(ports, "toy", newer, **ANNA).reinstated
        assert champion_version(ports, "toy") == "1"


class TestRetire:
    def test_the_reinstated_champion_is_not_retired(self, ports: FakePorts, promoted: str) -> None:
        reinstate(ports, "toy", promoted, **ANNA)
        with pytest.raises(RefusedError, match="is the champion again"):
            retire(ports, "toy", promoted, author="test")

    def test_a_version_that_a_newer_rollout_needs_is_not_retired(self, ports: FakePorts, promoted: str) -> None:
        ports.register("1", champion="2", predicted=None)
        newer = open_rollout(ports, "toy", "1", author="test", run_id="back").rollout_id
        with pytest.raises(RefusedError, match=newer):
            retire(ports, "toy", promoted, author="test")

    def test_it_is_refused_while_the_gateway_does_not_say_what_it_routes(self, ports: FakePorts, promoted: str) -> None:
        ports.router.answering = False
        with pytest.raises(UnavailableError):
            retire(ports, "toy", promoted, author="test")
        assert "1" in [s.target.version for s in ports.runtime.status("toy")]
