"""How fast the gateway follows: `python benchmarks/gateway.py [cuts]`.

A real Envoy between two stub servers under about 200 requests a second; the candidate has 50 %. Each round cuts it and takes two
times from the call of `apply`: to the instant at which the candidate received its last request (by its own clock, on the same
machine), and to the return of `apply`, when the write is durable and Envoy has said that it follows. Then what the gateway adds
to the time of a request.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.domain.route import Route
from sluicegate.settings import Settings
from sluicegate.testing.gateway import Stub, free_port, running_gateway, running_stub
from sluicegate.testing.traffic import Load, ask

MODEL = "flights"
USERS = [f"N{i}" for i in range(500)]


@dataclass(frozen=True)
class Bench:
    """The running pieces."""

    settings: Settings
    router: EnvoyRouter
    champion: Stub
    candidate: Stub

    def route(self, weight: int) -> Route:
        expires = time.time() + 60 if weight else None
        return Route(MODEL, self.champion.target, self.candidate.target, weight, 0, "bench", 1, expires)


@contextmanager
def bench() -> Iterator[Bench]:
    """Start everything in a folder of its own and stop it again."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
        prepare(settings)
        stack.enter_context(running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"))
        stubs = [stack.enter_context(running_stub(version, home / "stubs.log")) for version in "12"]
        yield Bench(settings, EnvoyRouter(settings), *stubs)


def cut_once(bench: Bench) -> tuple[float, float]:
    """(milliseconds to the candidate's last request, milliseconds to the return of apply); the first may be below zero."""
    bench.router.apply(bench.route(50))
    time.sleep(0.25)
    asked = time.time()
    bench.router.apply(bench.route(0))
    returned = time.time()
    time.sleep(0.25)
    return 1000 * (bench.candidate.seen()["last_answer_at"] - asked), 1000 * (returned - asked)


def overhead(bench: Bench, rounds: int = 2000) -> tuple[list[float], list[float]]:
    """Milliseconds a request, straight to the server and through the gateway, one connection."""
    users = USERS * (rounds // len(USERS))
    straight = ask(bench.champion.target.port, MODEL, users, connections=1)
    through = ask(bench.settings.gateway_port, MODEL, users, connections=1)
    return tuple([1000 * (a.answered_at - a.sent_at) for a in answers] for answers in (straight, through))


def row(name: str, values: list[float]) -> str:
    """One line of the table."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"{name:<46}{cuts[49]:>9.2f}{cuts[94]:>9.2f}{cuts[98]:>9.2f}{max(values):>9.2f}"


def main(cuts: int) -> None:
    with bench() as pieces:
        pieces.router.apply(pieces.route(0))
        with Load(pieces.settings.gateway_port, MODEL, USERS, rate=200) as load:
            measured = [cut_once(pieces) for _ in range(cuts)]
        straight, through = overhead(pieces)
    last, returned = map(list, zip(*measured, strict=True))
    print(f"{cuts} cuts, {len(load.answers)} requests, {len(load.failures)} failed\n")
    print(f"{'milliseconds':<46}{'p50':>9}{'p95':>9}{'p99':>9}{'most':>9}")
    print(row("cut asked -> candidate's last request", last))
    print(row("cut asked -> durable and followed", returned))
    print(row("request straight to the server", straight))
    print(row("request through the gateway", through))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
