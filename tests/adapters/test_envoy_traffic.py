"""What users of a real Envoy get: who is served by whom, and that nothing we do makes a request fail."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluicegate.actions.guard import run_guard
from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.adapters.system_clock import SystemClock
from sluicegate.domain.route import Route, is_candidate
from sluicegate.settings import Settings
from sluicegate.testing.gateway import Stub, free_port, get, running_gateway, running_stub
from sluicegate.testing.journal import MemoryJournal
from sluicegate.testing.traffic import Answer, Load, ask, ask_one
from sluicegate.testing.waiting import wait_until

pytestmark = pytest.mark.gateway
MODEL = "flights"
USERS = [f"N{i}" for i in range(2_000)]
FEW = USERS[:200]
PATIENCE_S = 3.0


@dataclass(frozen=True)
class Rig:
    """A gateway with a champion (version 1) and a candidate (version 2) behind it."""

    settings: Settings
    router: EnvoyRouter
    champion: Stub
    candidate: Stub

    def route(self, weight: int = 0, mirror: int = 0, *, lease: float = 60.0, salt: str = "rollout-1") -> Route:
        expires = time.time() + lease if weight else None
        return Route(MODEL, self.champion.target, self.candidate.target, weight, mirror, salt, 1, expires)

    def load(self, rate: float = 200.0, connections: int = 8) -> Load:
        return Load(self.settings.gateway_port, MODEL, FEW, rate=rate, connections=connections)

    def ask(self, users: list[str]) -> list[Answer]:
        return ask(self.settings.gateway_port, MODEL, users)

    def one(self, user: str | None = None, **options: object) -> Answer:
        return ask_one(self.settings.gateway_port, MODEL, user, **options)

    def user_of_candidate(self, weight: int) -> str:
        return next(user for user in USERS if is_candidate("rollout-1", user, weight))

    def host(self, cluster: str, stub: Stub) -> dict[str, int]:
        """Envoy's own counters of one server in one cluster."""
        found = json.loads(get(self.settings.gateway_admin_port, "/clusters?format=json"))["cluster_statuses"]
        hosts = next(entry["host_statuses"] for entry in found if entry["name"] == f"{MODEL}/{cluster}")
        mine = next(h for h in hosts if h["address"]["socket_address"]["port_value"] == stub.target.port)
        return {stat["name"]: int(stat.get("value", 0)) for stat in mine["stats"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home: Path = tmp_path_factory.mktemp("gateway")
    settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(settings)
    with running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"):
        yield settings


@pytest.fixture
def rig(gateway: Settings) -> Iterator[Rig]:
    log = gateway.home / "stubs.log"
    with ExitStack() as stack:
        stubs = [stack.enter_context(running_stub(version, log)) for version in "12"]
        router = EnvoyRouter(gateway)
        yield Rig(gateway, router, *stubs)
        router.remove(MODEL, 1)


class TestAssignment:
    @pytest.mark.parametrize("weight", [5, 25, 50])
    def test_gateway_chooses_exactly_as_the_domain_says(self, rig: Rig, weight: int) -> None:
        rig.router.apply(rig.route(weight))
        answers = rig.ask(USERS)
        assert len(answers) == len(USERS)
        assert [a.user for a in answers if (a.version == "2") != is_candidate("rollout-1", a.user, weight)] == []

    @pytest.mark.parametrize("salt", ["", r"back\1slash\\", "$1 ${x} %REQ(:PATH)%", "späte-läufe", '"]}'])
    def test_salt_with_special_characters_is_taken_literally(self, rig: Rig, salt: str) -> None:
        rig.router.apply(rig.route(50, salt=salt))
        assert [a.user for a in rig.ask(FEW) if (a.version == "2") != is_candidate(salt, a.user, 50)] == []

    def test_user_id_with_special_characters_is_taken_literally(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        users = [f"{odd}{i}" for odd in ("ü", "日本", "a b", "a:b", "^$.*", "\\1", "%41", "x" * 300) for i in range(10)]
        assert [a.user for a in rig.ask(users) if (a.version == "2") != is_candidate("rollout-1", a.user, 50)] == []

    @pytest.mark.parametrize("user", [None, ""])
    def test_request_without_a_user_id_is_served_by_the_champion(self, rig: Rig, user: str | None) -> None:
        rig.router.apply(rig.route(99))
        assert {rig.one(user).version for _ in range(20)} == {"1"}

    def test_full_weight_serves_every_user_by_the_candidate(self, rig: Rig) -> None:
        rig.router.apply(rig.route(100))
        assert {a.version for a in rig.ask(FEW)} == {"2"}


class TestMirror:
    def test_full_mirror_copies_every_request_and_exposes_nobody(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0, mirror=100))
        assert {a.version for a in rig.ask(FEW)} == {"1"}
        wait_until(lambda: rig.candidate.seen()["copies"] == len(FEW), PATIENCE_S)
        assert rig.candidate.seen()["answers"] == 0

    def test_half_mirror_copies_about_half(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0, mirror=50))
        rig.ask(USERS)
        wait_until(lambda: 850 < rig.candidate.seen()["copies"] < 1150, PATIENCE_S)

    def test_mirror_goes_on_beside_a_weight(self, rig: Rig) -> None:
        rig.router.apply(rig.route(25, mirror=100))
        rig.ask(FEW)
        wait_until(lambda: rig.candidate.seen()["copies"] == len(FEW), PATIENCE_S)

    def test_failing_and_stuck_mirror_costs_no_user_anything(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0, mirror=100))
        rig.candidate.behave(status=500, delay_s=3.0)
        began = time.monotonic()
        assert [a for a in rig.ask(FEW) if a.failed] == []
        assert time.monotonic() - began < 3.0

    def test_copies_are_counted_apart_from_users_requests(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0, mirror=100))
        rig.ask(FEW)
        wait_until(lambda: rig.host("mirror", rig.candidate)["rq_total"] == len(FEW), PATIENCE_S)
        assert rig.host("candidate", rig.candidate)["rq_total"] == 0


class TestNoRequestFailsBecauseOfUs:
    @pytest.mark.parametrize("status", [500, 502, 503, 400, 404, 422])
    def test_error_of_the_candidate_becomes_the_champions_answer_and_stays_visible(self, rig: Rig, status: int) -> None:
        rig.router.apply(rig.route(50))
        rig.candidate.behave(status=status)
        answer = rig.one(rig.user_of_candidate(50))
        assert (answer.status, answer.version, answer.served_by) == (200, "1", "champion")
        assert rig.host("candidate", rig.candidate)["rq_error"] == 1

    def test_bad_request_of_a_client_is_refused_by_the_champion_too(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        rig.candidate.behave(status=422)
        rig.champion.behave(status=422)
        assert rig.one(rig.user_of_candidate(50)).status == 422

    def test_error_of_the_champion_is_asked_for_once_and_passed_on(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        rig.champion.behave(status=500)
        assert rig.one("N1").status == 500
        assert rig.champion.seen()["answers"] == 1

    def test_candidate_that_hangs_is_given_up_within_its_time_and_the_champion_answers(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        os.kill(rig.candidate.process.pid, signal.SIGSTOP)
        answer = rig.one(rig.user_of_candidate(50))
        assert (answer.status, answer.version) == (200, "1")
        assert answer.answered_at - answer.sent_at < 2.5

    def test_large_body_is_retried_whole(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        rig.candidate.behave(status=500)
        answer = rig.one(rig.user_of_candidate(50), body=b"x" * 250_000)
        assert (answer.status, answer.version, answer.body["bytes"]) == (200, "1", 250_000)

    def test_candidate_killed_under_load_fails_no_request(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        with rig.load(rate=400) as load:
            time.sleep(0.7)
            rig.candidate.process.kill()
            time.sleep(1.0)
        assert load.failures == []
        late = [a.version for a in load.answers[-100:]]
        assert len(load.answers) > 400
        assert set(late) == {"1"}

    def test_candidate_stopped_under_load_fails_no_request(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        with rig.load(rate=100, connections=120) as load:
            time.sleep(0.5)
            os.kill(rig.candidate.process.pid, signal.SIGSTOP)
            time.sleep(1.0)
            rig.router.apply(rig.route(50).cut())
            time.sleep(0.5)
        assert load.failures == []
        assert max(a.answered_at - a.sent_at for a in load.answers) > 1.0

    def test_champion_killed_and_started_again_under_load_fails_no_request(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        load = rig.load(rate=200, connections=150)
        with ExitStack() as again, load:
            time.sleep(0.5)
            rig.champion.process.kill()
            time.sleep(0.8)
            again.enter_context(running_stub("1b", rig.settings.home / "stubs.log", rig.champion.target.port))
            time.sleep(0.7)
        assert load.failures == []
        assert {a.version for a in load.answers[-20:]} == {"1b"}

    def test_shifts_cut_promotion_and_stopping_the_old_champion_fail_no_request(self, rig: Rig) -> None:
        with ExitStack() as stack:
            rig.router.apply(rig.route(0, mirror=100))
            load = stack.enter_context(rig.load(rate=300))
            for weight in (5, 25, 0, 50, 100):
                rig.router.apply(rig.route(weight))
                time.sleep(0.2)
            rig.router.apply(Route(MODEL, rig.candidate.target, token=1))
            time.sleep(0.2)
            rig.champion.process.kill()
            time.sleep(0.5)
        assert load.failures == []
        assert {a.version for a in load.answers[-50:]} == {"2"}

    def test_champion_that_restarted_is_reached_over_dead_connections(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        assert [a for a in rig.ask(FEW) if a.failed] == []
        rig.champion.process.kill()
        rig.champion.process.wait()
        with running_stub("1b", rig.settings.home / "stubs.log", rig.champion.target.port):
            answers = rig.ask(FEW)
        assert {(a.status, a.version) for a in answers} == {(200, "1b")}


class TestClients:
    def test_unknown_model_gets_404_with_a_sentence(self, rig: Rig) -> None:
        answer = ask_one(rig.settings.gateway_port, "nobody", "N1")
        assert answer.status == 404
        assert "no model is served at this path" in answer.body["error"]

    def test_too_large_body_gets_413(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        assert rig.one("N1", body=b"x" * 300_000).status == 413

    @pytest.mark.parametrize("path", ["config_dump", "..%2f..%2fconfig_dump", "../../ready", "stats"])
    def test_admin_interface_is_not_behind_the_listener(self, rig: Rig, path: str) -> None:
        with pytest.raises(OSError, match="answered 40"):
            get(rig.settings.gateway_port, f"/{path}")

    def test_admin_interface_changes_nothing_even_for_local_users(self, rig: Rig) -> None:
        for path in ("/quitquitquit", "/runtime_modify?a=b", "/logging?level=trace", "/drain_listeners"):
            with pytest.raises(OSError, match="answered 403"):
                get(rig.settings.gateway_admin_port, path)

    def test_client_cannot_set_retries_or_timeouts(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        rig.champion.behave(status=500, delay_s=0.05)
        hostile = ["x-envoy-retry-on: 5xx", "x-envoy-max-retries: 50", "x-envoy-upstream-rq-timeout-ms: 1"]
        assert rig.one("N1", headers=hostile).status == 500
        assert rig.champion.seen()["answers"] == 1

    def test_client_cannot_forge_the_start_or_pose_as_a_copy(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        before = time.time()
        answer = rig.one("N1", headers=["x-sluicegate-start: 1", "x-envoy-attempt-count: 9"])
        told = answer.body["headers"]
        assert before - 1 <= int(told["x-sluicegate-start"]) / 1e6 <= time.time() + 1
        assert told["x-envoy-attempt-count"] == "1"

    def test_request_id_arrives_bit_for_bit(self, rig: Rig) -> None:
        rig.router.apply(rig.route(0))
        mine = "7b0e3c1e-0000-1000-8000-00805f9b34fb"
        assert rig.one("N1", headers=[f"x-request-id: {mine}"]).body["headers"]["x-request-id"] == mine

    def test_answer_names_version_and_arm(self, rig: Rig) -> None:
        rig.router.apply(rig.route(50))
        answer = rig.one(rig.user_of_candidate(50))
        assert (answer.version, answer.served_by) == ("2", "candidate")


@dataclass(frozen=True)
class Beside:
    """What a guard needs."""

    router: EnvoyRouter
    clock: SystemClock
    journal: MemoryJournal


def test_lease_that_nobody_renews_ends_the_candidates_traffic_within_a_second_of_its_end(rig: Rig) -> None:
    clock, ended = SystemClock(), threading.Event()
    ports = Beside(EnvoyRouter(rig.settings), clock, MemoryJournal(clock))
    guard = threading.Thread(target=run_guard, args=(ports,), kwargs={"stopped": ended.is_set})
    guard.start()
    rig.router.apply(rig.route(0))
    with rig.load(rate=300) as load:
        route = rig.route(25, mirror=100, lease=1.5)
        rig.router.apply(route)
        time.sleep(3.2)
    ended.set()
    guard.join()
    served = [answer.sent_at for answer in load.answers if answer.version == "2"]
    assert load.failures == []
    assert max(served) > route.expires_at - 0.5
    assert max(served) < route.expires_at + 1.0
    assert rig.router.read(MODEL) == route.cut()
    assert [event.reason for event in ports.journal.events(MODEL)] == ["LEASE_EXPIRED"]
