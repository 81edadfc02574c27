"""The lease guard on a virtual clock."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sluicegate.actions.guard import look, run_guard
from sluicegate.domain.route import Route, Target
from sluicegate.errors import UnavailableError
from sluicegate.ports.journal import Event
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal
from sluicegate.testing.router import MemoryRouter
from sluicegate.testing.waiting import wait_until

CHAMPION, CANDIDATE = Target("1", "127.0.0.1", 9), Target("2", "127.0.0.1", 10)


@dataclass(frozen=True)
class World:
    """Clock, router and journal that belong together."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    router: MemoryRouter = field(default_factory=MemoryRouter)
    journal: MemoryJournal = field(default_factory=lambda: MemoryJournal(VirtualClock()))

    def give(self, weight: int, lease: float, model: str = "flights", token: int = 3) -> Route:
        route = Route(model, CHAMPION, CANDIDATE, weight, 100, "rollout-1", token, self.clock.now() + lease)
        self.router.apply(route)
        return route

    def until(self, end: float) -> Callable[[], bool]:
        return lambda: self.clock.now() >= end


class StuckJournal(MemoryJournal):
    """A journal whose database does not come back."""

    def __init__(self) -> None:
        super().__init__(VirtualClock())
        self.asked = threading.Event()

    def append(self, *_: Any, **__: Any) -> Event:
        self.asked.set()
        time.sleep(30)
        raise AssertionError


class DeadJournal(MemoryJournal):
    """A journal that refuses."""

    def append(
        self,
        model: str,
        rollout: str,
        kind: str,
        data: Mapping[str, Any],
        *,
        author: str,
        reason: str = "",
        token: int | None = None,
    ) -> Event:
        raise UnavailableError("the database does not answer")


class FlakyRouter(MemoryRouter):
    """A router whose first enforcements fail."""

    failures = 3

    def enforce(self, now: float) -> list[Route]:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("the disk is full")
        return super().enforce(now)


def test_lease_that_nobody_renews_is_cut_within_one_pause_of_its_end() -> None:
    world = World()
    route = world.give(25, lease=10.0)
    start = world.clock.now()
    run_guard(world, stopped=world.until(start + 10.0 - 0.01), uptime=world.clock.now)
    assert world.router.read("flights") == route
    run_guard(world, stopped=world.until(start + 10.2), uptime=world.clock.now)
    assert world.router.read("flights") == route.cut()


def test_lease_that_is_renewed_is_never_cut() -> None:
    world = World()
    world.give(25, lease=1.0)
    for _ in range(50):
        world.router.renew("flights", 3, world.clock.now() + 1.0)
        run_guard(world, stopped=world.until(world.clock.now() + 0.5), uptime=world.clock.now)
    assert world.router.read("flights").weight == 25


def test_start_after_the_end_of_a_lease_cuts_before_the_first_pause() -> None:
    world = World()
    world.give(25, lease=1.0)
    world.clock.sleep(3600)
    looks = iter([False, True])
    run_guard(world, stopped=lambda: next(looks), uptime=world.clock.now)
    assert world.router.read("flights").weight == 0


def test_clock_that_is_set_back_makes_every_lease_worthless_once() -> None:
    world, uptimes = World(), iter([0.0, 0.2, 0.4 + 3600, 0.6 + 3600])
    looks = iter([False] * 4 + [True])
    given = world.give(25, lease=60.0)
    run_guard(world, stopped=lambda: next(looks), uptime=lambda: next(uptimes))
    assert world.router.applied == [given, given.cut()]


def test_clock_that_is_set_forward_ends_the_leases_that_it_passes_and_no_other() -> None:
    world, looks = World(), iter([False] * 3 + [True])
    world.give(25, lease=60.0, model="a")
    world.give(25, lease=7200.0, model="b")
    uptimes = iter([0.0, 0.2, 0.4])
    world.clock.sleep(3600)
    run_guard(world, stopped=lambda: next(looks), uptime=lambda: next(uptimes))
    assert [world.router.read(model).weight for model in "ab"] == [0, 25]


def test_expired_model_is_cut_and_its_neighbour_is_not() -> None:
    world = World()
    world.give(25, lease=1.0, model="a")
    neighbour = world.give(50, lease=100.0, model="b")
    world.clock.sleep(2)
    assert [route.model for route in look(world)] == ["a"]
    assert world.router.read("b") == neighbour


def test_cut_is_journaled_with_the_guard_as_author_and_the_rollout_it_hit() -> None:
    world = World()
    world.give(25, lease=1.0)
    world.clock.sleep(2)
    look(world)
    wait_until(lambda: len(world.journal.events("flights")) == 1, within=2)
    (event,) = world.journal.events("flights", "rollout-1")
    assert (event.author, event.reason, event.data["route"]["weight"]) == ("guard", "LEASE_EXPIRED", 25)


def test_cut_is_logged_as_one_json_line(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.give(25, lease=1.0)
    world.clock.sleep(2)
    look(world)
    line = json.loads(caplog.records[0].getMessage())
    assert (line["event"], line["model"], line["weight"]) == ("lease_expired", "flights", 25)


def test_journal_that_hangs_delays_no_cut() -> None:
    world = World(journal=StuckJournal())
    world.give(25, lease=1.0, model="a")
    world.give(25, lease=2.0, model="b")
    began = time.monotonic()
    run_guard(world, stopped=world.until(world.clock.now() + 3), uptime=world.clock.now)
    assert time.monotonic() - began < 1.0
    assert world.journal.asked.wait(1)
    assert [world.router.read(model).weight for model in "ab"] == [0, 0]


def test_journal_that_refuses_is_logged_and_the_cut_stands(caplog: pytest.LogCaptureFixture) -> None:
    world = World(journal=DeadJournal(VirtualClock()))
    world.give(25, lease=1.0)
    world.clock.sleep(2)
    look(world)
    wait_until(lambda: any("journal_missed" in record.getMessage() for record in caplog.records), within=2)
    assert world.router.read("flights").weight == 0


def test_router_that_fails_is_asked_again_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World(router=FlakyRouter())
    world.give(25, lease=0.5)
    run_guard(world, stopped=world.until(world.clock.now() + 1.5), uptime=world.clock.now)
    assert world.router.read("flights").weight == 0
    assert sum("guard_trouble" in record.getMessage() for record in caplog.records) == 1


def test_gateway_that_does_not_say_what_it_has_is_cut_all_the_same() -> None:
    world = World()
    world.give(25, lease=1.0)
    world.router.answering = False
    world.clock.sleep(2)
    look(world)
    world.router.answering = True
    assert world.router.read("flights").weight == 0


def test_holder_whose_weight_was_cut_cannot_renew_it() -> None:
    world = World()
    world.give(25, lease=1.0)
    world.clock.sleep(2)
    look(world)
    with pytest.raises(Exception, match="no candidate weight"):
        world.router.renew("flights", 3, world.clock.now() + 10)
