"""Servers are there before the traffic that needs them."""

import pytest

from sluicegate.actions.release import abort, deploy, enter_stage, open_rollout, promote, retire, rollout
from sluicegate.domain.route import Route
from sluicegate.domain.servers import Serving
from sluicegate.errors import PackageError, RefusedError, UnavailableError
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import MODEL, begin, enter, pass_stages, watch_until_decided, weight, world


@pytest.fixture
def ports() -> FakePorts:
    """A champion with four servers; the plan is a mirror of 50 %, then 10, 50 and 100 %."""
    ports = world()
    ports.runtime.scale(MODEL, "1", 4)
    return ports


def servers(ports: FakePorts) -> dict[str, int]:
    return {s.target.version: s.wanted for s in ports.runtime.status(MODEL)}


def test_first_version_has_all_servers_of_its_spec_before_it_serves() -> None:
    assert servers(world()) == {"1": Serving().servers}


def test_candidate_begins_with_one_server_and_the_champion_keeps_what_it_has(ports: FakePorts) -> None:
    begin(ports)
    assert servers(ports) == {"1": 4, "2": 1}


def test_each_stage_finds_its_servers_started_by_the_one_before(ports: FakePorts) -> None:
    rollout_id, seen = begin(ports), []
    for index in range(4):
        pass_stages_from(ports, rollout_id, index)
        seen.append(servers(ports)["2"])
    # mirror 50 % of 4 and, ahead of it, 10 % + half of the other 90 %; 50 % + half of the rest; 100 %
    assert seen == [3, 3, 4, 4]
    assert servers(ports)["1"] == 4


def pass_stages_from(ports: FakePorts, rollout_id: str, index: int) -> None:
    assert watch_until_decided(ports, enter(ports, rollout_id, index)) == "pass"


def test_without_room_for_the_servers_no_traffic_is_shifted_and_the_stage_may_be_entered_later(ports: FakePorts) -> None:
    rollout_id = begin(ports)
    pass_stages(ports, rollout_id, 2)
    ports.runtime.room = 2
    with pytest.raises(UnavailableError, match=r"2 of 3 servers after 60 s.*no node takes the server.*make room"):
        enter_stage(ports, MODEL, rollout_id, 2, author="test")
    assert weight(ports) == 10
    assert rollout(ports, MODEL, rollout_id).next_stage == 2
    ports.runtime.room = 100
    enter_stage(ports, MODEL, rollout_id, 2, author="test")
    assert weight(ports) == 50


def test_whenever_traffic_is_shifted_its_servers_are_ready_however_slowly_they_come(ports: FakePorts) -> None:
    seen, apply, sleep = [], ports.router.apply, ports.clock.sleep

    def shift(route: Route) -> None:
        found = {s.target.version: s.servers for s in ports.runtime.status(MODEL)}
        seen.append((route.weight, found["2"]))
        apply(route)

    def pass_time(seconds: float) -> None:
        ports.runtime.room += seconds > 0.2  # each look of who waits, one more server is ready
        sleep(seconds)

    ports.runtime.room = 4
    rollout_id = begin(ports)
    ports.router.apply, ports.clock.sleep = shift, pass_time
    for index in range(4):
        ports.runtime.room = 1
        pass_stages_from(ports, rollout_id, index)
    needed = {0: 2, 10: 3, 50: 3, 100: 4}
    assert {weight for weight, _ in seen} == set(needed)
    assert all(ready >= needed[weight] for weight, ready in seen)


def test_lease_of_a_stage_begins_when_its_servers_are_there_however_long_that_took(ports: FakePorts) -> None:
    rollout_id, sleep = begin(ports), ports.clock.sleep
    pass_stages(ports, rollout_id, 2)
    lease = rollout(ports, MODEL, rollout_id).release.lease
    there = ports.clock.now() + 3 * lease

    def pass_time(seconds: float) -> None:
        sleep(seconds)
        ports.runtime.room = 2 if ports.clock.now() < there else 100

    ports.runtime.room, ports.clock.sleep = 2, pass_time
    enter_stage(ports, MODEL, rollout_id, 2, author="test")
    route = ports.router.read(MODEL)
    assert ports.clock.now() >= there
    assert (route.weight, route.expires_at) == (50, ports.clock.now() + lease)


def test_champion_without_enough_servers_is_no_broken_artefact(ports: FakePorts) -> None:
    ports.runtime.room = 1
    opened = open_rollout(ports, MODEL, "2", author="test", run_id="r")
    with pytest.raises(UnavailableError, match=r"version 1 .* has 1 of 4 servers"):
        deploy(ports, MODEL, opened.rollout_id, author="test")


def test_broken_candidate_is_told_as_such(ports: FakePorts) -> None:
    ports.runtime.broken = ("2",)
    opened = open_rollout(ports, MODEL, "2", author="test", run_id="r")
    with pytest.raises(PackageError, match="not healthy within 60 s: golden outputs differ"):
        deploy(ports, MODEL, opened.rollout_id, author="test")


def test_rollout_that_is_aborted_while_its_server_starts_ends_the_wait_for_it(ports: FakePorts) -> None:
    ports.runtime.broken = ("2",)
    opened, sleep = open_rollout(ports, MODEL, "2", author="test", run_id="r"), ports.clock.sleep

    def pass_time(seconds: float) -> None:
        ports.clock.sleep = sleep
        abort(ports, MODEL, opened.rollout_id, author="anna", reason="wrong data")

    ports.clock.sleep = pass_time
    begun = ports.clock.now()
    with pytest.raises(RefusedError, match="has ended ABORTED: start a new one"):
        deploy(ports, MODEL, opened.rollout_id, author="test")
    assert ports.clock.now() == begun
    assert "2" not in servers(ports)


def test_old_champion_keeps_its_servers_through_retention_and_the_new_one_may_shrink_afterwards(ports: FakePorts) -> None:
    rollout_id, floors = begin(ports), []
    pass_stages(ports, rollout_id, 4)
    promote(ports, MODEL, rollout_id, author="test")
    assert servers(ports) == {"1": 4, "2": 4}
    scale = ports.runtime.scale
    ports.runtime.scale = lambda model, version, least: floors.append((version, least)) or scale(model, version, least)
    retire(ports, MODEL, rollout_id, author="test")
    assert floors == [("2", Serving().servers)]
    assert list(servers(ports)) == ["2"]


def test_plan_is_kept_as_it_was_opened_whatever_the_spec_says_later(ports: FakePorts) -> None:
    opened = open_rollout(ports, MODEL, "2", author="test", run_id="r")
    ports.model_spec = ports.model_spec.model_copy(update={"serving": Serving(servers=9)})
    assert rollout(ports, MODEL, opened.rollout_id).serving == Serving()
