"""How fast one row is served: `python benchmarks/serving.py [rounds]`.

Side by side in one run, taking turns: the model server with everything on (checks, features, XGBoost of 200 trees and 20 inputs,
counters, metrics, prediction log, version labels); a constant answer from the same protocol stack; a constant answer from uvicorn
with a bare ASGI application; and the whole service behind that uvicorn, which is why the server stands on a protocol of its own.
The load generator shares the cores, so read the ratios. Medians over the rounds. "cpu us" is processor time of the server a
request, which neighbours on the machine hardly disturb.
"""

import asyncio
import gc
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvloop

from sluicegate.serving.application import ServerApplication
from sluicegate.serving.http import JSON, Connections, Response, listen
from sluicegate.serving.package import load_package, write_package
from sluicegate.serving.prediction_log import PredictionLog
from sluicegate.serving.service import Service
from sluicegate.testing.gateway import free_port, get, started
from sluicegate.testing.waiting import wait_until

MODEL, WIDTH = "bench", 20
NAMES = [f"f{n}" for n in range(WIDTH)]
SECONDS, CONNECTIONS = 0.6, (1, 16)
SERVERS = {
    "server": "model server, everything on",
    "floor": "constant answer, same stack",
    "uvicorn-floor": "constant answer, uvicorn",
    "uvicorn": "everything on, behind uvicorn",
}
CONSTANT = b'{"model":"bench","version":"1","request_id":"r1","score":0.3359265923500061,"decision":false}'
SPEC = f"""\
model: {MODEL}
data:
  user_id: user
  inputs: {{{", ".join(f"{name}: {{type: number, min: -100, max: 100}}" for name in NAMES)}}}
  label: {{field: y}}
training: {{holdout: {{length: 1d}}}}
release: {{stages: [{{weight: 100}}], gates: {{p95_ms: 25}}}}
"""
FEATURES = f"NAMES = {NAMES}\n\ndef features(row):\n    return {{name: row[name] for name in NAMES}}\n"


def request_row(number: int) -> dict[str, Any]:
    """A valid request."""
    values = np.random.default_rng(number).normal(size=WIDTH).round(3)
    head = {"request_id": f"r{number}", "event_time": "2013-08-01T10:00:00Z", "user": f"N{number % 3000}"}
    return {**head, **dict(zip(NAMES, values.tolist(), strict=True))}


def make_package(folder: Path) -> Path:
    """Train and package the model."""
    from sluicegate.adapters.estimators import DottedEstimators

    chance = np.random.default_rng(1)
    x = chance.normal(size=(6000, WIDTH)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] * x[:, 2] + chance.normal(size=len(x)) > 0).astype(np.float64)
    made = DottedEstimators().make("xgboost.XGBClassifier", {"n_estimators": 200, "max_depth": 6}, task="classification", seed=1)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "features.py").write_text(FEATURES)
    write_package(
        folder / "package",
        spec_source=folder / "spec.yaml",
        features_source=folder / "features.py",
        features=NAMES,
        onnx_bytes=made.fit(x, y, NAMES).onnx(),
        golden_rows=[request_row(number) for number in range(20)],
        snapshot_id="-",
        code_digest="-",
        model_hash="-",
    )
    return folder / "package"


class Floor:
    """Answers the same to everybody."""

    def respond(self, method: bytes, path: str, headers: dict[bytes, bytes], body: bytes, received_at: float) -> Response:
        return 200, JSON, CONSTANT

    def refuse(self, status: int, message: str) -> Response:
        return status, JSON, message.encode()


def serve(kind: str, port: int, folder: Path) -> None:
    """Be one of the four servers until killed; `server` itself is the real command and not here."""
    if kind == "floor":
        uvloop.run(_forever(Connections(Floor(), {"x-model-version": "1"}), port))
        return
    answer: Callable[[bytes, dict[bytes, bytes]], bytes] = lambda body, headers: CONSTANT  # noqa: E731
    if kind == "uvicorn":
        log = PredictionLog(folder / "uvicorn", print)
        log.start()
        application = ServerApplication(Service(load_package(folder / "package"), "1", log, print), {})
        application.ready(None)
        path = f"/models/{MODEL}/predict"
        answer = lambda body, headers: application.respond(b"POST", path, headers, body, time.time())[2]  # noqa: E731
    _uvicorn(answer, port)


async def _forever(connections: Connections, port: int) -> None:
    await listen(connections, "127.0.0.1", port)
    gc.freeze()
    await asyncio.Event().wait()


def _uvicorn(answer: Callable[[bytes, dict[bytes, bytes]], bytes], port: int) -> None:
    import uvicorn

    async def application(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        content = answer(body, dict(scope["headers"]))
        headers = [(b"content-type", b"application/json"), (b"x-model-version", b"1"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    gc.freeze()
    trimmed = {"access_log": False, "log_level": "error", "lifespan": "off", "ws": "none", "proxy_headers": False}
    uvicorn.run(application, port=port, loop="uvloop", http="httptools", server_header=False, date_header=False, **trimmed)


@dataclass
class Client(asyncio.Protocol):
    """One keep-alive connection that always has one request under way."""

    requests: list[bytes]
    stop: float
    done: "asyncio.Future[None]"
    waited: list[float]
    number: int = 0
    got: bytes = b""
    begun: float = 0.0
    transport: Any = field(default=None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.number = (self.number + 1) % len(self.requests)
        self.got, self.begun = b"", time.perf_counter()
        self.transport.write(self.requests[self.number])

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.got.endswith(b"}"):  # uvicorn sends head and body apart
            return
        now = time.perf_counter()
        if not self.got.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not an answer: {self.got[:300]!r}")
        self.waited.append(now - self.begun)
        if now < self.stop:
            self._ask()
        else:
            self.transport.close()
            self.done.set_result(None)


async def measure(port: int, connections: int, bodies: list[bytes]) -> tuple[float, float, float]:
    """(requests a second, p50, p99 in microseconds)."""
    loop = asyncio.get_running_loop()
    requests = [
        b"POST /models/%b/predict HTTP/1.1\r\nhost: gateway\r\nx-user-id: N%d\r\nx-request-id: r%d\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (MODEL.encode(), n, n, len(body), body)
        for n, body in enumerate(bodies)
    ]
    begun, waited = time.perf_counter(), list[float]()
    clients = [Client(requests, begun + SECONDS, loop.create_future(), waited, number=37 * c) for c in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - begun
    waited.sort()
    return len(waited) / took, 1e6 * waited[len(waited) // 2], 1e6 * waited[int(0.99 * len(waited))]


@dataclass(frozen=True)
class Running:
    """A server under test."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Processor time so far, all threads, seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(folder: Path) -> Iterator[dict[str, Running]]:
    """All servers, each on its port."""
    with ExitStack() as stack:
        found = {kind: start(kind, folder, stack) for kind in SERVERS}
        for one in found.values():
            wait_until(lambda one=one: _open(one.port))  # type: ignore[misc]
        wait_until(lambda: get(found["server"].port, "/health/ready"))
        yield found


def start(kind: str, folder: Path, stack: ExitStack) -> Running:
    """Start one server until the stack closes."""
    port = free_port()
    command = [sys.executable, __file__, kind, str(port), str(folder)]
    if kind == "server":
        command = [sys.executable, "-m", "sluicegate", "serve", "--package", str(folder / "package"), "--model", MODEL]
        command += ["--version", "1", "--port", str(port), "--log-dir", str(folder / "log")]
    return Running(port, stack.enter_context(started(command, folder / f"{kind}.log")).pid)


def _open(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port)).close()
    return True


@dataclass(frozen=True)
class Sample:
    """One measurement of one server."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float


def sample(server: Running, connections: int, bodies: list[bytes]) -> Sample:
    """Load one server for SECONDS."""
    before = server.cpu_s()
    rate, p50, p99 = uvloop.run(measure(server.port, connections, bodies))
    return Sample(rate, p50, p99, 1e6 * (server.cpu_s() - before) / (rate * SECONDS))


def main(rounds: int) -> None:
    found: dict[tuple[str, int], list[Sample]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_package(folder)
        bodies = [orjson.dumps(request_row(number)) for number in range(500)]
        with running(folder) as servers:
            for _ in range(rounds):
                for connections in CONNECTIONS:
                    for kind, server in servers.items():
                        found.setdefault((kind, connections), []).append(sample(server, connections, bodies))
            metrics = get(servers["server"].port, "/metrics").decode().splitlines()
    print(f"{rounds} rounds of {SECONDS} s each; medians\n")
    print(f"{'':<32}{'conns':>6}{'rps':>8}{'p50 us':>9}{'p99 us':>9}{'cpu us':>8}{'of own floor':>14}{'of uvicorn floor':>18}")
    for connections in CONNECTIONS:
        show(connections, {kind: median(found[kind, connections]) for kind in SERVERS})
    (dropped,) = [line for line in metrics if "dropped_total{" in line]
    print("\nprediction log lines dropped:", dropped.rpartition(" ")[2])


def median(samples: list[Sample]) -> Sample:
    """Each figure's median."""
    return Sample(*(statistics.median(column) for column in zip(*map(astuple, samples), strict=True)))


def show(connections: int, found: dict[str, Sample]) -> None:
    """The lines of one number of connections."""
    for kind, words in SERVERS.items():
        one = found[kind]
        shares = "".join(f"{one.rate / found[floor].rate:>{w}.0%}" for floor, w in (("floor", 14), ("uvicorn-floor", 18)))
        print(f"{words:<32}{connections:>6}{one.rate:>8.0f}{one.p50_us:>9.0f}{one.p99_us:>9.0f}{one.cpu_us:>8.1f}{shares}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
