"""What a liveness probe is told."""

import http.client
import threading
from collections.abc import Iterator

import pytest

from sluicegate.actions.guard import look, run_guard
from sluicegate.commands.alive import Alive
from sluicegate.domain.route import Route, Target
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.router import MemoryRouter
from sluicegate.wiring import KeeperPorts


@pytest.fixture
def alive() -> Iterator[Alive]:
    with Alive("127.0.0.1", 0, within=60.0) as alive:
        yield alive


def status(alive: Alive) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", alive.port, timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_process_that_never_looked_is_not_well(alive: Alive) -> None:
    assert status(alive) == 503


def test_process_that_looked_is_well(alive: Alive) -> None:
    alive.beat()
    assert status(alive) == 200


def test_process_that_has_not_looked_for_long_is_not_well_any_more() -> None:
    with Alive("127.0.0.1", 0, within=0.0) as alive:
        alive.beat()
        assert status(alive) == 503


def test_client_that_says_nothing_does_not_keep_the_probe_waiting(alive: Alive) -> None:
    silent = http.client.HTTPConnection("127.0.0.1", alive.port, timeout=5)
    silent.connect()
    alive.beat()
    assert status(alive) == 200
    silent.close()


class LostRouter(MemoryRouter):
    """A router whose API server is away at first."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def enforce(self, now: float) -> list[Route]:
        self.looks += 1
        if self.looks < 3:
            raise UnavailableError("the cluster does not answer")
        return super().enforce(now)


def test_keeper_beats_only_after_looks_that_met_no_trouble() -> None:
    router, beats = LostRouter(), []
    ports = KeeperPorts(Settings(), VirtualClock(), router, None)
    run_guard(ports, stopped=lambda: router.looks >= 5, looked=lambda: beats.append(router.looks))
    assert beats == [3, 4, 5]


def test_keeper_without_a_journal_cuts_all_the_same(caplog: pytest.LogCaptureFixture) -> None:

    router, clock = MemoryRouter(), VirtualClock()
    router.apply(Route("flights", Target("1", "a", 1), Target("2", "b", 1), 25, 0, "r", 1, clock.now() + 10))
    threads = threading.active_count()
    cut = look(KeeperPorts(Settings(), clock, router, None), clock.now() + 11)
    assert [route.weight for route in cut] == [25]
    assert threading.active_count() == threads
    assert "lease_expired" in caplog.text
