"""The real model server in a process of its own, for tests and benchmarks."""

import http.client
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from sluicegate.domain.route import Target
from sluicegate.testing.gateway import free_port, get, started
from sluicegate.testing.waiting import wait_until


@dataclass(frozen=True)
class ModelServer:
    """A running server."""

    target: Target
    process: "subprocess.Popen[bytes]"
    predictions: Path
    """Folder of its prediction log."""
    log: Path
    """What it wrote to stdout and stderr."""

    @property
    def port(self) -> int:
        return self.target.port

    def ask(
        self, body: object, path: str = "/models/toy/predict", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, dict[str, object]]:
        """Status and JSON of the answer on a connection of its own; bytes are sent as they are, everything else as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            content = body if isinstance(body, bytes) else orjson.dumps(body)
            connection.request(method, path, content, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, orjson.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def lines(self) -> list[bytes]:
        """Lines of the prediction log so far, a torn one included."""
        files = sorted(self.predictions.glob("*.jsonl"))
        return [line for path in files for line in path.read_bytes().split(b"\n") if line]


@contextmanager
def running_model_server(
    package: Path,
    version: str,
    folder: Path,
    *,
    model: str = "toy",
    port: int | None = None,
    wait: bool = True,
    more: Sequence[str] = (),
) -> Iterator[ModelServer]:
    """A server of this package; logs go below `folder`; `more` ends its command. With `wait` it is ready when the block begins."""
    target = Target(version, "127.0.0.1", port or free_port())
    predictions, log = folder / "predictions" / model / version, folder / f"{model}-{version}.log"
    command = [sys.executable, "-m", "sluicegate", "serve", "--package", str(package), "--model", model, "--version", version]
    command += ["--host", target.host, "--port", str(target.port), "--log-dir", str(predictions), *more]
    folder.mkdir(parents=True, exist_ok=True)
    with started(command, log) as process:
        if wait:
            wait_until(lambda: get(target.port, "/health/ready"))
        yield ModelServer(target, process, predictions, log)
