"""Crashes and quarrels at the router: half-written files, a dead or stopped gateway, a stopped writer."""

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.adapters.envoy_router.documents import routes_in
from sluicegate.adapters.envoy_router.store import RouteStore, replace_file
from sluicegate.domain.route import Route, Target
from sluicegate.domain.route_text import Stored
from sluicegate.errors import InputError, StaleTokenError, UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.waiting import wait_until

A, B = Target("1", "127.0.0.1", 9), Target("2", "127.0.0.1", 10)
PATIENCE_S = 3.0


def at(weight: int, *, model: str = "flights", token: int = 1, lease: float = 60.0) -> Route:
    return Route(model, A, B, weight, 0, "rollout-1", token, time.time() + lease if weight else None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path, gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(settings)
    return settings


def gateway(settings: Settings) -> "contextmanager[subprocess.Popen[bytes]]":
    return running_gateway(envoy_command(settings), settings.gateway_admin_port, settings.home / "envoy.log")


def weight_in_file(settings: Settings) -> int:
    """The first model's weight in the document that Envoy reads."""
    table = json.loads((settings.gateway / "routes.json").read_text())["resources"][0]
    note = table["virtual_hosts"][0]["routes"][0]["metadata"]["filter_metadata"]["sluicegate"]["route"]
    return int(json.loads(note)["weight"])


def notes(settings: Settings) -> dict[str, int]:
    """Weight by model in the document that Envoy reads."""
    table = json.loads((settings.gateway / "routes.json").read_text())["resources"][0]
    return {route.model: route.weight for route in routes_in(table)}


class TestGatewayThatIsNotThere:
    def test_read_says_that_it_does_not_know(self, settings: Settings) -> None:
        EnvoyRouter(settings).apply(at(5))
        with pytest.raises(UnavailableError, match=str(settings.gateway_admin_port)):
            EnvoyRouter(settings).read("flights")

    def test_cut_is_written_all_the_same_and_soon(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        router.apply(at(5))
        began = time.monotonic()
        router.apply(at(5).cut())
        assert time.monotonic() - began < 0.5
        assert weight_in_file(settings) == 0

    def test_lease_is_enforced_all_the_same(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        router.apply(at(5))
        assert len(router.enforce(time.time() + 61)) == 1
        assert weight_in_file(settings) == 0

    def test_start_of_the_gateway_cuts_what_expired_while_it_was_down(self, settings: Settings) -> None:
        EnvoyRouter(settings).apply(at(5))
        prepare(settings, now=lambda: time.time() + 61)
        assert weight_in_file(settings) == 0


@pytest.mark.gateway
class TestGatewayThatDies:
    def test_killed_gateway_comes_back_with_the_same_routes(self, settings: Settings) -> None:
        route = at(25)
        with gateway(settings) as first:
            EnvoyRouter(settings).apply(route)
            first.kill()
            first.wait()
        with gateway(settings):
            assert EnvoyRouter(settings).read("flights") == route

    def test_stopped_gateway_does_not_hold_up_a_cut_and_follows_it_when_it_goes_on(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        with gateway(settings) as envoy:
            router.apply(at(25))
            os.kill(envoy.pid, signal.SIGSTOP)
            began = time.monotonic()
            router.apply(at(25).cut())
            assert time.monotonic() - began < 2.5
            os.kill(envoy.pid, signal.SIGCONT)
            wait_until(lambda: router.read("flights") == at(25).cut(), PATIENCE_S)


@pytest.mark.gateway
class TestWriterThatDies:
    def test_dead_between_route_and_documents_is_mended_by_the_next_enforcement(self, settings: Settings) -> None:
        router, route = EnvoyRouter(settings), at(25)
        with gateway(settings):
            router.apply(route)
            RouteStore(settings.gateway).write("flights", Stored(1, route.cut()))
            assert router.read("flights").weight == 25
            assert router.enforce(time.time()) == []
            wait_until(lambda: router.read("flights") == route.cut(), PATIENCE_S)

    def test_weight_that_nobody_asked_for_reads_as_expired(self, settings: Settings) -> None:
        router, route = EnvoyRouter(settings), at(25)
        with gateway(settings):
            router.apply(route)
            RouteStore(settings.gateway).write("flights", Stored(1, route.cut()))
            assert router.read("flights") == replace(route, expires_at=0.0)

    def test_routes_that_envoy_lost_are_given_again(self, settings: Settings) -> None:
        """As after a rename that Envoy's watch did not see."""
        router, route = EnvoyRouter(settings), at(25)
        with gateway(settings):
            router.apply(route)
            wanted = (settings.gateway / "routes.json").read_text()
            other = json.loads(wanted)
            other["version_info"] = "elsewhere"
            other["resources"][0]["metadata"]["filter_metadata"]["sluicegate"]["version"] = "elsewhere"
            replace_file(settings.gateway / "routes.json", json.dumps(other))
            wait_until(lambda: router._admin.routes_version() == "elsewhere", PATIENCE_S)
            (settings.gateway / "routes.json").write_text(wanted)
            router.enforce(time.time())
            wait_until(lambda: router._admin.routes_version() == json.loads(wanted)["version_info"], PATIENCE_S)


class TestWriterThatIsStopped:
    @pytest.fixture
    def holder(self, settings: Settings) -> Iterator[None]:
        """Another process that holds the lock and does nothing."""
        code = "import fcntl,sys,time; f=open(sys.argv[1],'a'); fcntl.flock(f,2); print('held',flush=True); time.sleep(60)"
        command = [sys.executable, "-c", code, str(settings.gateway / "lock")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"held\n"
            yield
            process.kill()

    def test_cut_goes_ahead_without_the_lock(self, settings: Settings, holder: None) -> None:
        RouteStore(settings.gateway).write("flights", Stored(1, at(25)))
        began = time.monotonic()
        EnvoyRouter(settings).apply(at(25).cut())
        assert time.monotonic() - began < 1.0
        assert weight_in_file(settings) == 0

    def test_lease_is_enforced_without_the_lock(self, settings: Settings, holder: None) -> None:
        RouteStore(settings.gateway).write("flights", Stored(1, at(25)))
        assert len(EnvoyRouter(settings).enforce(time.time() + 61)) == 1
        assert weight_in_file(settings) == 0

    def test_anything_but_a_cut_is_refused_with_the_place_of_the_lock(
        self, settings: Settings, holder: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sluicegate.adapters.envoy_router.router.PATIENCE_S", 0.1)
        with pytest.raises(UnavailableError, match="lock"):
            EnvoyRouter(settings).apply(at(25))


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """A limit of zero bytes a file stands for it: every write fails, renames go on.

    It must be lifted before the test ends: pytest itself may be writing its progress to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestDiskThatIsFull:
    @pytest.fixture
    def exposed(self, settings: Settings) -> EnvoyRouter:
        router = EnvoyRouter(settings)
        router.apply(at(25))
        return router

    def test_lease_is_enforced_without_room_and_the_trouble_told(self, settings: Settings, exposed: EnvoyRouter) -> None:
        with full_disk(), pytest.raises(UnavailableError, match="make room"):
            exposed.enforce(time.time() + 61)
        assert weight_in_file(settings) == 0

    def test_cut_goes_through_without_room_and_the_trouble_is_told(self, settings: Settings, exposed: EnvoyRouter) -> None:
        with full_disk(), pytest.raises(UnavailableError, match="make room"):
            exposed.apply(at(25).cut())
        assert weight_in_file(settings) == 0

    def test_weight_that_finds_no_room_leaves_the_traffic_as_it_was(self, settings: Settings, exposed: EnvoyRouter) -> None:
        with full_disk(), pytest.raises(UnavailableError, match="make room"):
            exposed.apply(at(50))
        assert weight_in_file(settings) == 25


class TestManyWriters:
    def test_of_many_tokens_at_once_the_newest_stands(self, settings: Settings) -> None:
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            tokens = [7, 3, 9, 1, 8, 2, 5, 4, 6] * 5
            refused = [token for token in pool.starmap(_try, [(settings, token) for token in tokens]) if token]
        stored = RouteStore(settings.gateway).read("flights")
        assert (stored.token, stored.route.token) == (9, 9)
        assert 9 not in refused
        assert len(refused) >= 30
        assert not list((settings.gateway / "routes").glob(".*"))


class TestFiles:
    @pytest.mark.parametrize("name", ["../up", "a/b", "", ".", "A", "a\n", "a" * 49, "x.json", "ä", "flights "])
    def test_name_that_is_no_plain_name_touches_no_file(self, settings: Settings, name: str) -> None:
        before = sorted(settings.gateway.rglob("*"))
        router = EnvoyRouter(settings)
        for attempt in (
            lambda: router.apply(at(5, model=name)),
            lambda: router.remove(name, 1),
            lambda: router.renew(name, 1, 2.0),
        ):
            with pytest.raises(InputError, match="no name of a model"):
                attempt()
        assert [path for path in sorted(settings.gateway.rglob("*")) if path not in before] in ([], [settings.gateway / "lock"])

    def test_broken_route_file_is_named_with_a_remedy(self, settings: Settings) -> None:
        EnvoyRouter(settings).apply(at(5))
        (settings.gateway / "routes" / "flights.json").write_text('{"token": 1')
        with pytest.raises(UnavailableError, match=r"flights\.json.*restore"):
            EnvoyRouter(settings).apply(at(5))

    def test_broken_route_file_of_one_model_leaves_the_others_free(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        router.apply(at(25))
        router.apply(at(5, model="claims"))
        (settings.gateway / "routes" / "flights.json").write_text("")
        router.apply(at(5, model="claims").cut())
        assert notes(settings) == {"claims": 0, "flights": 0}

    def test_broken_route_file_is_cut_and_told_by_the_guard_which_goes_on(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        router.apply(at(25))
        late = at(50, model="claims", lease=1.0)
        router.apply(late)
        (settings.gateway / "routes" / "flights.json").write_text('{"token": 1')
        with pytest.raises(UnavailableError, match=r"flights\.json.*restore"):
            router.enforce(time.time())
        assert notes(settings) == {"claims": 50, "flights": 0}
        assert router.enforce(time.time() + 2) == [late]
        assert notes(settings) == {"claims": 0, "flights": 0}

    def test_applying_twice_leaves_the_documents_untouched(self, settings: Settings) -> None:
        router, route = EnvoyRouter(settings), at(5)
        router.apply(route)
        before = {path: path.stat().st_mtime_ns for path in settings.gateway.rglob("*.json")}
        router.apply(route)
        assert {path: path.stat().st_mtime_ns for path in settings.gateway.rglob("*.json")} == before

    def test_renewing_touches_the_route_file_alone(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        router.apply(at(5))
        before = {path: path.stat().st_mtime_ns for path in settings.gateway.rglob("*.json")}
        router.renew("flights", 1, time.time() + 600)
        after = {path: path.stat().st_mtime_ns for path in settings.gateway.rglob("*.json")}
        assert [path.name for path in after if after[path] != before[path]] == ["flights.json"]

    def test_removed_model_leaves_no_endpoints(self, settings: Settings) -> None:
        router = EnvoyRouter(settings)
        router.apply(at(5))
        router.apply(at(5, model="label"))
        router.remove("flights", 1)
        left = sorted(path.name for path in (settings.gateway / "endpoints").iterdir())
        assert left == ["label.candidate.json", "label.champion.json", "label.mirror.json"]

    def test_prepare_again_keeps_the_routes(self, settings: Settings) -> None:
        EnvoyRouter(settings).apply(at(5))
        prepare(settings)
        assert weight_in_file(settings) == 5

    def test_folder_of_the_gateway_is_for_its_owner_alone(self, settings: Settings) -> None:
        assert settings.gateway.stat().st_mode & 0o077 == 0


def _try(settings: Settings, token: int) -> int:
    """The token if it was refused, else 0."""
    try:
        EnvoyRouter(settings).apply(at(5 + token, token=token))
    except StaleTokenError:
        return token
    return 0


class TestNobodyGuards:
    @pytest.fixture
    def router(self, settings: Settings) -> EnvoyRouter:
        """A router that asks for a guard, beside a guard whose last look is a minute ago."""
        minute_ago = time.time() - 60
        os.utime(settings.gateway / "guard", (minute_ago, minute_ago))
        return EnvoyRouter(settings, guard_within=5.0)

    def test_no_weight_is_given_and_the_remedy_named(self, settings: Settings, router: EnvoyRouter) -> None:
        with pytest.raises(UnavailableError, match=r"guard has looked not for 6\d s.*make up"):
            router.apply(at(5))
        assert not (settings.gateway / "routes" / "flights.json").exists()

    def test_clock_that_was_set_back_is_no_look(self, settings: Settings, router: EnvoyRouter) -> None:
        in_an_hour = time.time() + 3600
        os.utime(settings.gateway / "guard", (in_an_hour, in_an_hour))
        with pytest.raises(UnavailableError, match="make up"):
            router.apply(at(5))

    def test_mirror_cut_and_promotion_go_through(self, settings: Settings, router: EnvoyRouter) -> None:
        for route in (replace(at(0), mirror=50), at(0), Route("flights", B, token=2)):
            router.apply(route)
        assert RouteStore(settings.gateway).read("flights").route == Route("flights", B, token=2)

    def test_one_look_of_the_guard_is_enough(self, settings: Settings, router: EnvoyRouter) -> None:
        EnvoyRouter(settings).enforce(time.time())
        router.apply(at(5))
        assert weight_in_file(settings) == 5
