"""Real processes for tests and benchmarks: a gateway, stub servers, free ports. What is started here is stopped here, by pid."""

import http.client
import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.domain.route import Target
from sluicegate.testing.waiting import wait_until

BELOW_EPHEMERAL = (15_000, 32_000)
"""Ports that the kernel does not give to outgoing connections."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens now."""
    for port in random.SystemRandom().sample(range(*BELOW_EPHEMERAL), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError("no free port found between 15000 and 32000")


def get(port: int, path: str, timeout: float = 2.0) -> bytes:
    """Body of a GET on loopback; OSError when nobody answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as problem:
        raise OSError(str(problem)) from problem
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"{path} answered {answer.status}")
    return body


@contextmanager
def started(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives as long as the block; its output goes to `log`."""
    with log.open("ab") as sink:
        process = subprocess.Popen(list(command), stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_gateway(command: Sequence[str], admin_port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A gateway that answers; `command` is the router's own."""
    with started(command, log) as process:
        wait_until(lambda: get(admin_port, "/ready").startswith(b"LIVE"))
        yield process


@dataclass(frozen=True)
class Stub:
    """A running stub server."""

    target: Target
    process: "subprocess.Popen[bytes]"

    def seen(self) -> dict[str, Any]:
        """What it got so far: answers, copies, last_answer_at."""
        found: dict[str, Any] = json.loads(get(self.target.port, "/seen"))
        return found

    def behave(self, *, status: int = 200, delay_s: float = 0.0) -> None:
        """How it answers from now on."""
        connection = http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=2.0)
        connection.request("POST", "/behave", json.dumps({"status": status, "delay_s": delay_s}))
        connection.getresponse().read()
        connection.close()


@contextmanager
def running_stub(version: str, log: Path, port: int | None = None) -> Iterator[Stub]:
    """A stub server of this version that answers."""
    target = Target(version, "127.0.0.1", port or free_port())
    command = [sys.executable, "-m", "sluicegate.testing.stub_server", str(target.port), version]
    with started(command, log) as process:
        wait_until(lambda: get(target.port, "/seen"))
        yield Stub(target, process)
