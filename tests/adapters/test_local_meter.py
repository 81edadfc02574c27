"""The meter reads what servers, gateway and logs counted, says what it could not read, and forgets nothing by a restart."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.adapters.local_meter import LocalMeter
from sluicegate.adapters.local_meter.pairs import Pairs
from sluicegate.adapters.local_meter.tail import VersionLog, _start
from sluicegate.domain.evidence import SCORE_BINS, PairCounters
from sluicegate.domain.pairing import APART_S
from sluicegate.domain.route import Route, Target, bucket
from sluicegate.serving.counters import EVIDENCE_FILE, Counters
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import toy_package, toy_row
from sluicegate.testing.traffic import Answer, ask
from sluicegate.testing.waiting import wait_until

T0 = 1_372_681_800.0
NOWHERE = Target("1", "127.0.0.1", 1)


@dataclass
class Logs:
    """Two prediction logs in the making."""

    folder: Path

    def write(self, version: str, role: str, entries: list[tuple[str, float, float]], *, name: str = "") -> None:
        """Append (request id, seconds after T0, score) to the file of the hour, or to another one."""
        (self.folder / version).mkdir(parents=True, exist_ok=True)
        for request, after, score in entries:
            hour = time.strftime("%Y%m%dT%H", time.gmtime(T0 + after))
            line = {"request_id": request, "received_at": T0 + after, "role": role, "user": f"u{request}", "score": score}
            with (self.folder / version / (name or f"{hour}-1.jsonl")).open("ab") as log:
                log.write(orjson.dumps(line | {"decision": score >= 0.5}) + b"\n")

    def pairs(self, since: float = 0.0, score_range: tuple[float, float] = (0.0, 1.0)) -> Pairs:
        return Pairs(self.folder / "1", self.folder / "2", T0 + since, score_range)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    made = Logs(tmp_path)
    made.write("1", "answer", [])
    made.write("2", "mirror", [])
    return made


class TestPairs:
    def test_a_pair_is_counted_in_its_users_bucket_with_scores_and_flips(self, logs: Logs) -> None:
        logs.write("1", "answer", [("a", 0, 0.25), ("b", 1, 0.75)])
        logs.write("2", "mirror", [("b", 1, 0.25), ("a", 0, 0.75)])
        counts = logs.pairs().read()
        a, b = bucket("ua"), bucket("ub")
        assert (sum(counts.pairs), counts.pairs[a], counts.pairs[b]) == (2, 1, 1)
        assert (counts.difference_sum[a], counts.difference_sum[b]) == (0.5, -0.5)
        assert (counts.difference_square_sum[a], counts.candidate_score_sum[a], counts.candidate_score_square_sum[a]) == (
            0.25,
            0.75,
            0.5625,
        )
        assert (counts.flips_on[a], counts.flips_off[a], counts.flips_on[b], counts.flips_off[b]) == (1, 0, 0, 1)
        assert (counts.candidate_decisions[a], counts.champion_decisions[a]) == (1, 0)
        assert (counts.champion_histogram[5], counts.champion_histogram[15], len(counts.champion_histogram)) == (1, 1, SCORE_BINS)

    def test_only_the_champions_answers_and_the_candidates_copies_make_pairs(self, logs: Logs) -> None:
        logs.write("1", "mirror", [("a", 0, 0.1)])
        logs.write("2", "mirror", [("a", 0, 0.1), ("b", 0, 0.1)])
        logs.write("1", "answer", [("c", 0, 0.1), ("d", 0, 0.1)])
        logs.write("2", "answer", [("d", 0, 0.1)])
        assert sum(logs.pairs().read().pairs) == 0

    def test_a_half_that_comes_later_is_joined_at_a_later_reading_and_once(self, logs: Logs) -> None:
        pairs = logs.pairs()
        logs.write("1", "answer", [("a", 0, 0.1)])
        assert sum(pairs.read().pairs) == 0
        logs.write("2", "mirror", [("a", 0, 0.2)])
        assert [sum(pairs.read().pairs) for _ in range(3)] == [1, 1, 1]

    def test_requests_before_the_start_are_not_counted(self, logs: Logs) -> None:
        for version, role in (("1", "answer"), ("2", "mirror")):
            logs.write(version, role, [(f"r{n}", n, 0.1) for n in range(10)])
        assert sum(logs.pairs(since=4).read().pairs) == 6

    def test_halves_too_far_apart_in_time_are_no_pair(self, logs: Logs) -> None:
        logs.write("1", "answer", [("a", 0, 0.1), ("b", 0, 0.1)])
        logs.write("2", "mirror", [("b", APART_S - 1, 0.1), ("a", APART_S + 1, 0.1)])
        assert sum(logs.pairs().read().pairs) == 1

    def test_a_torn_line_waits_until_it_is_whole_and_garbage_is_skipped(self, logs: Logs) -> None:
        logs.write("1", "answer", [("a", 0, 0.1), ("b", 0, 0.1)])
        logs.write("2", "mirror", [("a", 0, 0.1), ("b", 0, 0.1)])
        (path,) = (logs.folder / "2").iterdir()
        whole = path.read_bytes()
        path.write_bytes(b"\x00garbage\n[]\n{}\n" + whole[:-20])
        pairs = logs.pairs()
        assert sum(pairs.read().pairs) == 1
        with path.open("ab") as log:
            log.write(whole[-20:])
        assert sum(pairs.read().pairs) == 2

    def test_a_restarted_server_and_a_new_hour_go_on_in_other_files(self, logs: Logs) -> None:
        for version, role in (("1", "answer"), ("2", "mirror")):
            logs.write(version, role, [("a", 0, 0.1)])
        pairs = logs.pairs()
        pairs.read()
        for version, role in (("1", "answer"), ("2", "mirror")):
            logs.write(version, role, [("b", 20, 0.1)], name="20130701T12-0.jsonl")
            logs.write(version, role, [("c", 3600, 0.1)])
        assert sum(pairs.read().pairs) == 3
        assert logs.pairs().read() == pairs.read()

    @pytest.mark.parametrize("seed", range(5))
    def test_a_fresh_instance_counts_the_same_as_one_that_watched(
        self, logs: Logs, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sluicegate.adapters.local_meter.tail.CHUNK", 3000)
        chance, watching = random.Random(seed), logs.pairs(since=2)
        for second in range(0, 60, 2):
            served = [(f"{second}-{n}", second + n / 50, chance.random()) for n in range(100)]
            copied = [
                (request, at + 0.3 * chance.random(), chance.random()) for request, at, _ in served if chance.random() < 0.4
            ]
            logs.write("1", "answer", served, name=f"20130701T12-{9 - second // 30}.jsonl")
            logs.write("2", "mirror", sorted(copied, key=lambda c: c[1]))
            counts = watching.read()
        fresh = logs.pairs(since=2).read()
        assert sum(fresh.pairs) > 800
        assert fresh.pairs == counts.pairs
        assert fresh.flips_on == counts.flips_on
        assert fresh.difference_sum == pytest.approx(counts.difference_sum)

    def test_scores_outside_the_range_fall_in_the_outer_bins(self, logs: Logs) -> None:
        logs.write("1", "answer", [("a", 0, -50), ("b", 0, 200)])
        logs.write("2", "mirror", [("a", 0, 10), ("b", 0, 100)])
        counts = logs.pairs(score_range=(0, 100)).read()
        assert (counts.champion_histogram[0], counts.champion_histogram[-1]) == (1, 1)
        assert (counts.candidate_histogram[2], counts.candidate_histogram[-1]) == (1, 1)

    def test_an_absent_log_is_an_error_and_not_zero(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no prediction log"):
            Logs(tmp_path / "nowhere").pairs().read()

    def test_opening_an_hours_log_late_skips_what_was_before(self, logs: Logs) -> None:
        logs.write("1", "answer", [(f"r{n}", n / 100, 0.1) for n in range(6000)])
        (path,) = (logs.folder / "1").iterdir()
        at = _start(path, T0 + 50)
        assert path.stat().st_size / 2 < at
        log = VersionLog(logs.folder / "1", T0 + 50)
        log.look()
        read = [line for _ in range(3) for line in log.lines()]
        assert sum(line.received_at >= T0 + 50 for line in read) == 1000


class TestMissing:
    def test_silent_sources_are_none_and_each_is_named(self, tmp_path: Path) -> None:
        meter = LocalMeter(Settings(home=tmp_path, gateway_admin_port=1))
        reading = meter.read(Route("toy", NOWHERE, Target("2", "127.0.0.1", 2)), since=0.0)
        assert (reading.champion, reading.candidate, reading.mirror, reading.pairs, reading.gateway) == (None,) * 5
        assert [sentence.split(":")[0] for sentence in reading.missing] == ["champion 1", "candidate 2", "gateway", "pairs"]

    def test_a_source_that_hangs_costs_half_a_second(self, tmp_path: Path) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as hole:
            target = Target("1", "127.0.0.1", hole.getsockname()[1])
            began = time.monotonic()
            reading = LocalMeter(Settings(home=tmp_path, gateway_admin_port=target.port)).read(Route("toy", target), since=0.0)
        assert time.monotonic() - began > 0.4
        assert reading.champion is None
        assert "within 0.15 s" in reading.missing[0]

    @pytest.mark.parametrize(("age", "known"), [(0.0, True), (5.0, False)])
    def test_a_saturated_server_is_known_from_what_it_has_just_written_and_not_from_old_news(
        self, tmp_path: Path, age: float, known: bool
    ) -> None:
        import os
        import socket

        settings = Settings(home=tmp_path, gateway_admin_port=1)
        arm = {"answer": Counters(1.0, (25.0,), (0.0, 1.0)).to_dict(), "mirror": Counters(1.0, (25.0,), (0.0, 1.0)).to_dict()}
        written = settings.predictions / "toy" / "1" / EVIDENCE_FILE
        written.parent.mkdir(parents=True)
        written.write_text(json.dumps({"model": "toy", "version": "1", "score_range": [0.0, 1.0], **arm}))
        os.utime(written, (time.time() - age, time.time() - age))
        with socket.create_server(("127.0.0.1", 0)) as hole:
            target = Target("1", "127.0.0.1", hole.getsockname()[1])
            reading = LocalMeter(settings).read(Route("toy", target), since=0.0)
        assert (reading.champion is not None) is known


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    features = (
        "def features(row):\n    if row['distance'] == 13:\n        raise ValueError('unlucky')\n"
        "    return {'distance': row['distance'] / 1000, 'wind': 0.0}\n"
    )
    return toy_package(tmp_path_factory.mktemp("toy"), features=features).folder


@dataclass(frozen=True)
class Rig:
    """A gateway with two real model servers of the toy model behind it."""

    settings: Settings
    champion: ModelServer
    candidate: ModelServer
    salt: str = "s"

    def route(self, weight: int = 0, mirror: int = 0) -> Route:
        """Each split is a rollout of its own: within one no weight becomes lower, and a cut does not make it begin again."""
        expires = time.time() + 60 if weight else None
        salt = f"{self.salt} {weight} {mirror}"
        return Route("toy", self.champion.target, self.candidate.target, weight, mirror, salt, 1, expires)

    def apply(self, weight: int = 0, mirror: int = 0) -> Route:
        route = self.route(weight, mirror)
        EnvoyRouter(self.settings).apply(route)
        return route

    def ask(self, count: int, **change: Any) -> list[Answer]:
        """One request of each of so many users; the gateway gives the request ids."""
        body = {k: v for k, v in toy_row(1).items() if k not in ("request_id", "tailnum")}
        return ask(self.settings.gateway_port, "toy", [f"N{n}" for n in range(count)], body=orjson.dumps(body | change))


@pytest.fixture(scope="module")
def rig(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(settings)
    with (
        running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"),
        running_model_server(package, "1", home) as champion,
        running_model_server(package, "2", home) as candidate,
    ):
        yield Rig(settings, champion, candidate)


def since_now() -> float:
    time.sleep(0.01)
    return time.time()


@pytest.mark.gateway
class TestRealGateway:
    def test_users_requests_are_counted_alike_by_servers_and_gateway(self, rig: Rig) -> None:
        route, meter = rig.apply(weight=40), LocalMeter(rig.settings)
        before = meter.read(route, since=since_now())
        assert before.missing == ()
        answers = rig.ask(300)
        after = meter.read(route, since=since_now())
        mine = sum(answer.version == "2" for answer in answers)
        assert 60 < mine < 180
        assert sum(after.candidate.requests) - sum(before.candidate.requests) == mine
        assert sum(after.champion.requests) - sum(before.champion.requests) == 300 - mine
        assert after.gateway.candidate_requests - before.gateway.candidate_requests == mine
        assert after.gateway.champion_requests - before.gateway.champion_requests == 300 - mine
        assert (
            after.gateway.started_at
            == before.gateway.started_at
            == LocalMeter(rig.settings).read(route, since=0).gateway.started_at
        )

    def test_mirrored_requests_make_pairs_and_are_nobodys_answers(self, rig: Rig) -> None:
        route, meter, since = rig.apply(mirror=100), LocalMeter(rig.settings), since_now()
        before = meter.read(route, since=since)
        assert all(answer.version == "1" for answer in rig.ask(200))
        wait_until(lambda: sum(meter.read(route, since=since).pairs.pairs) == 200)
        after = meter.read(route, since=since)
        assert sum(after.mirror.requests) - sum(before.mirror.requests) == 200
        assert after.candidate.requests == before.candidate.requests
        assert sum(after.pairs.difference_square_sum) == 0
        assert LocalMeter(rig.settings).read(route, since=since).pairs == after.pairs

    def test_a_failure_that_a_retry_hid_is_the_candidates_error_for_server_and_gateway(self, rig: Rig) -> None:
        route, meter = rig.apply(weight=40), LocalMeter(rig.settings)
        before = meter.read(route, since=since_now())
        failing = rig.ask(200, distance=13)
        after = meter.read(route, since=since_now())
        assert {answer.status for answer in failing} == {500}
        added = sum(after.candidate.errors) - sum(before.candidate.errors)
        assert added > 30
        assert after.gateway.candidate_errors - before.gateway.candidate_errors == added

    def test_a_wrong_request_is_nobodys_error(self, rig: Rig) -> None:
        route, meter = rig.apply(weight=40), LocalMeter(rig.settings)
        before = meter.read(route, since=since_now())
        assert {answer.status for answer in rig.ask(200, distance="far")} == {422}
        after = meter.read(route, since=since_now())
        for old, new in ((before.champion, after.champion), (before.candidate, after.candidate)):
            assert (new.errors, new.requests) == (old.errors, old.requests)
        assert after.gateway.candidate_errors == before.gateway.candidate_errors
        assert after.gateway.champion_errors == before.gateway.champion_errors

    def test_a_dead_candidate_is_missing_and_its_failures_are_the_gateways_to_tell(
        self, rig: Rig, package: Path, tmp_path: Path
    ) -> None:
        with running_model_server(package, "3", tmp_path) as third:
            mortal = Rig(rig.settings, rig.champion, third, salt="other")
            route, meter = mortal.apply(weight=40), LocalMeter(rig.settings)
            mortal.ask(100)
            before = meter.read(route, since=since_now())
            third.process.kill()
            third.process.wait()
            answers = mortal.ask(100)
            after = meter.read(route, since=since_now())
        assert not [answer for answer in answers if answer.failed]
        assert (after.candidate, after.mirror) == (None, None)
        assert after.missing[0].startswith("candidate 3")
        assert after.gateway.candidate_errors - before.gateway.candidate_errors > 20
        assert after.gateway.champion_errors == before.gateway.champion_errors

    def test_time_that_a_request_waited_before_a_stuck_server_is_the_servers_latency(self, rig: Rig) -> None:
        route, meter = rig.apply(), LocalMeter(rig.settings)
        before = meter.read(route, since=since_now())
        rig.champion.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, rig.champion.process.pid, os.WSTOPPED)  # a moment after the signal
        threading.Timer(0.5, lambda: rig.champion.process.send_signal(signal.SIGCONT)).start()
        (answer,) = rig.ask(1)
        after = meter.read(route, since=since_now())
        assert answer.answered_at - answer.sent_at > 0.15
        assert sum(after.champion.slow["25"]) == sum(before.champion.slow["25"]) + 1

    def test_another_version_at_the_address_is_not_taken_for_the_candidate(self, rig: Rig) -> None:
        wrong = Route("toy", Target("9", rig.champion.target.host, rig.champion.port), rig.candidate.target)
        reading = LocalMeter(rig.settings).read(wrong, since=since_now())
        assert reading.champion is None
        assert "serves version 1 of 'toy', not 9" in reading.missing[0]

    def test_a_reading_costs_little_at_two_hundred_requests_a_second(self, rig: Rig) -> None:
        route, meter, since = rig.apply(mirror=100), LocalMeter(rig.settings), since_now()
        costs = []
        for _ in range(5):
            rig.ask(100)
            began = time.process_time()  # ours alone: the machine may be busy with others
            assert meter.read(route, since=since).missing == ()
            costs.append(time.process_time() - began)
        assert min(costs) < 0.020

    def test_a_route_without_candidate_has_nothing_missing(self, rig: Rig) -> None:
        rig.apply()
        reading = LocalMeter(rig.settings).read(Route("toy", rig.champion.target), since=since_now())
        assert (reading.missing, reading.candidate, reading.pairs) == ((), None, None)

    def test_a_restarted_server_is_asked_again_on_a_new_connection(self, rig: Rig, package: Path, tmp_path: Path) -> None:
        meter = LocalMeter(rig.settings)
        starts = []
        port = free_port()
        for _ in range(2):
            with running_model_server(package, "4", tmp_path, port=port) as server:
                reading = meter.read(Route("toy", server.target), since=since_now())
                assert reading.champion is not None
                starts.append(reading.champion.started_at)
        assert starts[1] > starts[0]


def test_a_reading_survives_the_journal(logs: Logs) -> None:
    counts = logs.pairs().read()
    from sluicegate.domain.evidence import Reading

    again = Reading.from_dict(json.loads(json.dumps(Reading(1.0, pairs=counts).to_dict())))
    assert isinstance(again.pairs, PairCounters)
    assert again.pairs == counts
