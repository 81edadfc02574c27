"""The real server process: what stands on the wire, how it stops, what kill -9 leaves."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from sluicegate.serving.http import MOST_BODY
from sluicegate.testing.gateway import free_port, get, started
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import toy_package, toy_row
from sluicegate.testing.waiting import wait_until

PATH = "/models/toy/predict"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package(tmp_path_factory.mktemp("toy")).folder


@pytest.fixture(scope="module")
def server(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    with running_model_server(package, "7", tmp_path_factory.mktemp("server")) as running:
        yield running


def exchange(port: int, sent: bytes, answers: int = 1) -> bytes:
    """Raw bytes in, everything that comes back until so many answers are there or the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        wire.sendall(sent)
        got = b""
        while got.count(b"HTTP/1.1 ") < answers or not got.endswith(b"}"):
            part = wire.recv(65536)
            if not part:
                break
            got += part
    return got


def post(row: object, extra: str = "", version: str = "1.1") -> bytes:
    body = orjson.dumps(row)
    return f"POST {PATH} HTTP/{version}\r\nHost: x\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Clients(threading.Thread):
    """One keep-alive client that asks until it is told to stop; knows what was answered when, and what went wrong."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(daemon=True)
        self._port, self._name, self.stop = port, name, threading.Event()
        self.answered: dict[str, float] = {}
        self.lost = self.failed = 0
        self.start()

    def run(self) -> None:
        number = 0
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)) as connection:
            while not self.stop.is_set():
                number += 1
                row = toy_row(number) | {"request_id": f"{self._name}-{number}"}
                try:
                    status = self._ask(connection, orjson.dumps(row))
                except ConnectionRefusedError:
                    return
                except (OSError, http.client.HTTPException):
                    self.lost += 1
                    return
                self.failed += status != 200
                self.answered[row["request_id"]] = time.time()

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> int:
        connection.request("POST", PATH, body)
        with connection.getresponse() as answer:  # closed also when the server is killed in the middle of it
            answer.read()
            return answer.status


class TestWire:
    def test_an_answer_carries_the_version_as_header(self, server: ModelServer) -> None:
        head = exchange(server.port, post(toy_row(1))).partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert b"x-model-version: 7" in head

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", PATH, b"{", 400),
            ("POST", PATH, b'{"distance": NaN}', 400),
            ("POST", PATH, {"tailnum": "N1", "event_time": "2013-08-01T10:00:00Z"}, 422),
            ("GET", PATH, b"", 405),
            ("DELETE", PATH, b"", 405),
            ("POST", "/health/ready", b"", 405),
            ("POST", "/models/other/predict", b"{}", 404),
            ("GET", "/", b"", 404),
            ("GET", "/%00%ff", b"", 404),
            ("POST", PATH, b" " * (MOST_BODY + 1), 413),
        ],
    )
    def test_a_wrong_request_is_a_4xx_with_a_sentence(
        self, server: ModelServer, method: str, path: str, body: object, status: int
    ) -> None:
        got, answer = server.ask(body, path, method=method)
        assert got == status
        assert answer["error"]

    def test_a_body_just_within_the_limit_is_read(self, server: ModelServer) -> None:
        body = orjson.dumps(toy_row(1))
        assert server.ask(body + b" " * (MOST_BODY - len(body)))[0] == 200

    def test_a_chunked_body_is_read_and_limited(self, server: ModelServer) -> None:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        body = orjson.dumps(toy_row(1))
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:20], body[20:]))
        assert exchange(server.port, head + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200")
        huge = b"%x\r\n" % (MOST_BODY + 1) + b" " * (MOST_BODY + 1)
        assert exchange(server.port, head + huge).startswith(b"HTTP/1.1 413")

    def test_requests_sent_ahead_are_answered_in_order(self, server: ModelServer) -> None:
        got = exchange(server.port, b"".join(post(toy_row(n)) for n in range(20)), answers=20)
        assert [part.split(b'"')[0] for part in got.split(b'"request_id":"')[1:]] == [b"r%d" % n for n in range(20)]

    @pytest.mark.parametrize("sent", [post(toy_row(1), "Connection: close\r\n"), post(toy_row(1), version="1.0")])
    def test_a_client_that_wants_to_close_is_closed(self, server: ModelServer, sent: bytes) -> None:
        got = exchange(server.port, sent, answers=2)  # waits for a second answer or the end
        assert got.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in got

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"nonsense\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
            (b"GET /health/live HTTP/1.1\r\nx: " + b"y" * 500_000 + b"\r\n\r\n", b"431"),
            (b"GET /" + b"y" * 500_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        ],
    )
    def test_what_is_no_http_is_answered_once_and_closed(self, server: ModelServer, sent: bytes, status: bytes) -> None:
        got = exchange(server.port, sent, answers=2)
        assert got.startswith(b"HTTP/1.1 " + status)
        assert got.count(b"HTTP/1.1 ") == 1

    def test_expect_continue_is_answered_before_the_body(self, server: ModelServer) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as wire:
            head, _, body = post(toy_row(1), "Expect: 100-continue\r\n").partition(b"\r\n\r\n")
            wire.sendall(head + b"\r\n\r\n")
            assert wire.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.sendall(body)
            assert wire.recv(100).startswith(b"HTTP/1.1 200")

    def test_an_upgrade_is_answered_as_plain_http(self, server: ModelServer) -> None:
        sent = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        assert exchange(server.port, sent).startswith(b"HTTP/1.1 200")

    def test_head_has_the_length_and_no_body(self, server: ModelServer) -> None:
        got = exchange(server.port, b"HEAD /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answers=2)
        assert got.endswith(b"\r\n\r\n")
        assert b"content-length: " in got


@pytest.mark.slow
class TestLife:
    def test_ready_tells_model_version_and_hash(self, server: ModelServer) -> None:
        facts = json.loads(get(server.port, "/health/ready"))
        assert (facts["status"], facts["model"], facts["version"], facts["model_hash"]) == ("ready", "toy", "7", "hash")

    def test_every_service_log_line_is_json_with_the_version(self, package: Path, tmp_path: Path) -> None:
        with running_model_server(package, "9", tmp_path) as running:
            running.ask(toy_row(1))
            running.process.terminate()
            assert running.process.wait(5) == 0
            lines = [json.loads(line) for line in running.log.read_text().splitlines()]
        assert [line["event"] for line in lines] == ["start", "ready", "stop"]
        assert {(line["model"], line["version"]) for line in lines} == {("toy", "9")}

    def test_sigterm_under_load_loses_no_request_and_no_line(self, package: Path, tmp_path: Path) -> None:
        with running_model_server(package, "1", tmp_path) as running:
            clients = [Clients(running.port, f"c{n}") for n in range(4)]
            time.sleep(0.5)
            begun = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(5) == 0
            assert time.monotonic() - begun < 5
            for client in clients:
                client.stop.set()
                client.join(5)
            logged = {json.loads(line)["request_id"] for line in running.lines()}
        answered = {name for client in clients for name in client.answered}
        assert sum(client.lost + client.failed for client in clients) == 0
        assert len(answered) > 50
        assert logged == answered

    def test_a_request_in_flight_at_sigterm_is_answered(self, package: Path, tmp_path: Path) -> None:
        with running_model_server(package, "1", tmp_path) as running:
            sent = post(toy_row(1))
            with socket.create_connection(("127.0.0.1", running.port), timeout=5) as wire:
                wire.sendall(sent[:-10])
                time.sleep(0.2)
                running.process.terminate()
                time.sleep(0.8)
                wire.sendall(sent[-10:])
                got = wire.recv(4096)
            assert got.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in got
            assert running.process.wait(5) == 0

    def test_a_client_that_never_finishes_does_not_hold_up_the_end(self, package: Path, tmp_path: Path) -> None:
        with running_model_server(package, "1", tmp_path) as running:
            with socket.create_connection(("127.0.0.1", running.port), timeout=5) as wire:
                wire.sendall(post(toy_row(1))[:-10])
                time.sleep(0.2)
                begun = time.monotonic()
                running.process.terminate()
                assert running.process.wait(6) == 0
            assert time.monotonic() - begun < 5


@pytest.mark.slow
class TestKill:
    def test_kill_9_under_load_leaves_all_lines_up_to_the_last_flush_and_at_most_one_torn(
        self, package: Path, tmp_path: Path
    ) -> None:
        with running_model_server(package, "1", tmp_path) as running:
            clients = [Clients(running.port, f"c{n}") for n in range(4)]
            time.sleep(1.2)
            killed_at = time.time()
            running.process.kill()
            running.process.wait()
            for client in clients:
                client.join(5)
            raw = running.lines()
        readable = []
        for line in raw:
            try:
                readable.append(json.loads(line)["request_id"])
            except ValueError:
                continue
        flushed = {name for client in clients for name, at in client.answered.items() if at < killed_at - 0.3}  # 0.1 when idle
        assert len(flushed) > 50
        assert flushed <= set(readable)
        assert len(raw) - len(readable) <= 1
        assert len(readable) == len(set(readable))


class TestCannotStart:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (["--model", "other"], "holds model 'toy', not 'other'"),
            (["--package", "/nowhere"], "cannot be read"),
            (["--log-dir", "/dev/null/logs"], "Not a directory"),
        ],
    )
    def test_a_server_that_cannot_start_says_why_and_ends(
        self, package: Path, tmp_path: Path, change: list[str], sentence: str
    ) -> None:
        done = self.serve(package, tmp_path, free_port(), *change)
        assert done.returncode == 1
        last = json.loads(done.stdout.splitlines()[-1])
        assert last["event"] == "stop"
        assert sentence in last["message"]

    def test_a_taken_port_is_named(self, package: Path, tmp_path: Path, server: ModelServer) -> None:
        done = self.serve(package, tmp_path, server.port)
        assert done.returncode == 1
        assert f"127.0.0.1:{server.port}" in done.stdout

    def test_a_package_whose_golden_rows_score_otherwise_is_never_ready(self, tmp_path: Path) -> None:
        folder = toy_package(tmp_path).folder
        golden = json.loads((folder / "golden.json").read_text())
        golden[4]["score"] += 0.1
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "golden.json").write_text(json.dumps(golden))
        from sluicegate.serving.manifest import digest

        manifest["files"]["golden.json"] = digest((folder / "golden.json").read_bytes())
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with running_model_server(folder, "1", tmp_path, wait=False) as running:
            wait_until(lambda: get(running.port, "/health/live"))
            for path, method in (("/health/ready", "GET"), (PATH, "POST")):
                status, answer = running.ask(toy_row(1), path, method=method)
                assert status == 503
                assert "golden row 4" in str(answer)

    @staticmethod
    def serve(package: Path, tmp_path: Path, port: int, *change: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "sluicegate", "serve", "--package", str(package), "--model", "toy", "--version", "1"]
        command += ["--port", str(port), "--log-dir", str(tmp_path / "log"), *change]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_an_error_of_the_model_is_told_once_a_second_with_the_number_not_told(tmp_path: Path) -> None:
    features = "def features(row):\n    if row['distance'] == 7:\n        1 / 0\n    return {'distance': 1.0, 'wind': 0.0}\n"
    with running_model_server(toy_package(tmp_path, features=features).folder, "1", tmp_path) as running:
        for number in range(30):
            assert running.ask(toy_row(number) | {"distance": 7})[0] == 500
        time.sleep(1.1)
        running.ask(toy_row(99) | {"distance": 7})
        assert running.ask(toy_row(1))[0] == 200
        lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    errors = [line for line in lines if line["event"] == "error"]
    assert sum(1 + line["not_told"] for line in errors) == 31
    assert len(errors) <= 5
    assert "ZeroDivisionError" in errors[0]["message"]


def test_the_server_needs_neither_mlflow_nor_pandas_nor_sklearn(package: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import sluicegate.serving.main\n"
        "from sluicegate.serving.package import load_package\n"
        "load_package(Path(sys.argv[1])).check_golden()\n"
        "print(sorted({'mlflow', 'pandas', 'sklearn', 'pydantic', 'airflow', 'sqlalchemy', 'xgboost'} & set(sys.modules)))"
    )
    log = tmp_path / "modules.txt"
    with started([sys.executable, "-c", code, str(package)], log) as process:
        assert process.wait(20) == 0
    assert log.read_text().strip() == "[]"
