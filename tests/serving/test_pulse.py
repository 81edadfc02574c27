"""Probes are answered in time by a server that is busy, and not by one that hangs."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.serving.http import JSON
from sluicegate.serving.pulse import Pulse
from sluicegate.testing.gateway import free_port, get
from sluicegate.testing.model_server import running_model_server
from sluicegate.testing.package import FEATURES, toy_package, toy_row
from sluicegate.testing.waiting import wait_until

BUSY = FEATURES.replace("    return", "    import time; time.sleep(row.get('stops') or 0)\n    return")


def status(port: int, path: str, timeout: float = 5.0) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    made = Pulse("127.0.0.1", 0, {"/health/live": (200, JSON, b"{}")}.get, hung_after=0.3)
    yield made
    made.close()


def test_loop_that_turns_is_alive(pulse: Pulse) -> None:
    pulse.beat()
    assert status(pulse.port, "/health/live") == (200, {})


def test_loop_that_hangs_is_not_alive_until_it_turns_again(pulse: Pulse) -> None:
    time.sleep(0.4)
    code, facts = status(pulse.port, "/health/live")
    assert (code, facts["status"]) == (503, "hung")
    pulse.beat()
    assert status(pulse.port, "/health/live")[0] == 200


def test_pulse_answers_nothing_but_health(pulse: Pulse) -> None:
    assert status(pulse.port, "/models/toy/predict")[0] == 404


@pytest.mark.slow
def test_busy_server_stays_alive_and_ready_while_its_own_port_keeps_everybody_waiting(tmp_path: Path) -> None:
    package, probes = toy_package(tmp_path, features=BUSY).folder, free_port()
    with running_model_server(package, "1", tmp_path, more=("--pulse-port", str(probes))) as server:
        slow = threading.Thread(target=server.ask, args=(toy_row(1) | {"stops": 2},))
        slow.start()
        time.sleep(0.3)
        with pytest.raises(TimeoutError):
            status(server.port, "/health/live", timeout=0.5)
        assert status(probes, "/health/live")[0] == 200
        assert status(probes, "/health/ready")[0] == 200
        slow.join()


@pytest.mark.slow
def test_server_told_to_stop_is_alive_and_no_longer_ready_and_still_takes_connections(tmp_path: Path) -> None:
    probes = free_port()
    more = ("--pulse-port", str(probes), "--linger", "3")
    with running_model_server(toy_package(tmp_path).folder, "1", tmp_path, more=more) as server:
        server.process.terminate()
        wait_until(lambda: status(probes, "/health/ready")[0] == 503)
        assert status(probes, "/health/live")[0] == 200
        assert server.ask(toy_row(1))[0] == 200
        assert server.process.wait(15) == 0


def test_taken_pulse_port_is_named(tmp_path: Path) -> None:
    with running_model_server(toy_package(tmp_path).folder, "1", tmp_path) as first:
        more = ("--pulse-port", str(first.port))
        with running_model_server(tmp_path / "package", "2", tmp_path, wait=False, more=more) as second:
            assert second.process.wait(20) == 1
            assert f"{second.port} and {first.port}" in second.log.read_text()
        assert get(first.port, "/health/ready")
