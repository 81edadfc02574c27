"""How long users meet a candidate that has turned bad: `python benchmarks/breach.py [breaches]`.

Real Envoy, real model servers, real journal, real meter, real judge, real lease guard, 200 requests a second; Airflow is left out,
since its triggerer only calls `Watch.look` as is done here. In each round the candidate has 25 % and is well for two seconds, then
turns bad in one of four ways. All by the clock of this machine:

    evidence   from the instant at which it turned bad until the servers' counters, recomputed from their logs, suffice for FAIL
    to 0 %     from there to the last request that the candidate was given: the next look, the verdict, the cut
    in all     the sum

Where the logs cannot show when the counters sufficed (the gateway alone saw the errors) the last look before is taken.
"""

import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path

import yaml

from sluicegate.actions.guard import run_guard
from sluicegate.actions.release import deploy, enter_stage, open_rollout, open_watch, revert
from sluicegate.adapters.envoy_router import envoy_command, prepare
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.domain.route import Route, Target
from sluicegate.ports import ServerStatus
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.model_server import running_model_server
from sluicegate.testing.package import toy_package, toy_row
from sluicegate.testing.registry import MemoryRegistry
from sluicegate.testing.traffic import Answer, Load
from sluicegate.wiring import Wiring
from sluicegate_demo.breach import breach as breach_of

MODEL, AUTHOR, RATE, WELL_S = "toy", "benchmark", 200.0, 2.0
USERS = [f"N{i}" for i in range(2000)]
BAD = {
    "errors, all": "raise RuntimeError",
    "errors, one in five": "if hash(row['request_id']) % 5 == 0: raise RuntimeError",
    "slow, +10 ms": "time.sleep(0.010)",
    "slow, +40 ms": "time.sleep(0.040)",
}
"""What the candidate's features.py does once it has turned bad; +40 ms is more than its one thread can serve."""
FEATURES = """\
import pathlib
import time

def features(row):
    how = pathlib.Path({place!r})
    if how.exists():
        exec(how.read_text())
    return {{"distance": row["distance"] / 1000, "wind": 0.0}}
"""
RELEASE = {
    "stages": [{"weight": 25, "bake": "10m"}, {"weight": 100, "bake": "1s"}],
    "gates": {"p95_ms": 5, "error_rate": {"margin": "1pp"}},
    "look_every": "300ms",
    "lease": "5s",
}


class Servers:
    """Runtime of servers that run already."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = {target.version: target for target in targets}

    def start(self, model: str, version: str, package: Path) -> Target:
        return self._targets[version]

    def scale(self, model: str, version: str, servers: int) -> int:
        return 1

    def status(self, model: str) -> list[ServerStatus]:
        return [ServerStatus(model, target, True, True) for target in self._targets.values()]

    def stop(self, model: str, version: str) -> None:
        """They serve the next round."""


class Bench(Wiring):
    """The real ports, but for what starts servers and keeps versions."""

    def __init__(self, settings: Settings, servers: Servers, registry: MemoryRegistry) -> None:
        super().__init__(settings)
        self._servers, self._registry = servers, registry

    @cached_property
    def runtime(self) -> Servers:
        return self._servers

    @cached_property
    def registry(self) -> MemoryRegistry:
        return self._registry


@dataclass(frozen=True)
class Breach:
    """One round; seconds."""

    how: str
    evidence: float
    to_zero: float
    failed: int
    """Requests without a good answer, of all that were sent in the round."""
    bad: int
    """Requests that the candidate answered after it had turned bad: slow answers, since the champion answers for its errors."""


@contextmanager
def bench(place: Path) -> Iterator[Bench]:
    """Start everything in a folder of its own and stop it again."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(home=home, models=home / "models", gateway_port=free_port(), gateway_admin_port=free_port())
        (settings.models / MODEL).mkdir(parents=True)
        (settings.models / MODEL / "spec.yaml").write_text(spec())
        (settings.models / MODEL / "features.py").write_text(FEATURES.format(place=str(place)))
        prepare(settings)
        stack.enter_context(running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"))
        registry, targets = MemoryRegistry(home / "registry"), []
        for version, path in (("1", "/nowhere"), ("2", str(place))):
            package = toy_package(home / version, features=FEATURES.format(place=path), spec=spec())
            registry.register(MODEL, package.folder, {"train_key": version})
            targets.append(stack.enter_context(running_model_server(package.folder, version, home)).target)
        ports = Bench(settings, Servers(targets), registry)
        begin(ports, package.score_rows(toy_row(n) for n in range(100)))
        stack.enter_context(guarded(ports))
        yield ports


def spec() -> str:
    """The model's spec, a plan that begins at 25 %."""
    inputs = {"distance": {"type": "number"}, "wind": {"type": "number", "required": False}}
    data = {"user_id": "tailnum", "inputs": inputs, "label": {"field": "late", "above": 15}}
    return yaml.safe_dump({"model": MODEL, "data": data, "training": {"holdout": {"length": "1d"}}, "release": RELEASE})


def begin(ports: Bench, scores: Sequence[float]) -> None:
    """Version 1 is in service; version 2 may be released."""
    shares = [sum(n / 20 <= s < (n + 1) / 20 for s in scores) / len(scores) for n in range(20)]
    mean = sum(scores) / len(scores)
    predicted = {"rows": len(scores), "mean_score": mean, "decision_rate": 0.5, "histogram": shares}
    data = {"verdict": "promote", "release": True, "predicted": predicted}
    for version, champion in (("1", None), ("2", "1")):
        ports.journal.append(MODEL, "", Kind.REGISTERED, {**data, "version": version, "champion": champion}, author=AUTHOR)
    ports.journal.append(MODEL, "first", Kind.PROMOTED, {"candidate": "1", "champion": None}, author=AUTHOR)
    ports.router.apply(Route(MODEL, ports.runtime.start(MODEL, "1", Path()), token=0))


@contextmanager
def guarded(ports: Bench) -> Iterator[None]:
    """A lease guard beside the gateway."""
    ended = threading.Event()
    guard = threading.Thread(target=run_guard, args=(ports,), kwargs={"stopped": ended.is_set})
    guard.start()
    try:
        yield
    finally:
        ended.set()
        guard.join()


def breach(ports: Bench, number: int, how: str, place: Path) -> Breach:
    """One round: well, bad, judged, cut, taken back."""
    state = open_rollout(ports, MODEL, "2", author=AUTHOR, run_id=str(number))
    deploy(ports, MODEL, state.rollout_id, author=AUTHOR)
    body = json.dumps({"distance": 1400, "event_time": "2013-08-01T10:00:00Z"}).encode()
    with Load(ports.settings.gateway_port, MODEL, USERS, rate=RATE, connections=16, body=body) as load:
        enter_stage(ports, MODEL, state.rollout_id, 0, author=AUTHOR)
        turned = threading.Timer(WELL_S, place.write_text, [BAD[how]])
        turned.start()
        began = time.time() + WELL_S
        watch = open_watch(ports, MODEL, state.rollout_id, 0, author=AUTHOR)
        while not (look := watch.look()).decided:
            time.sleep(watch.look_every)
        time.sleep(1.0)  # whoever is answered by the candidate now was missed by the cut
    place.unlink()
    ended = revert(ports, MODEL, state.rollout_id, author=AUTHOR, reason="benchmark")
    if look.decision != "fail" or ended.outcome is not Outcome.REVERTED:
        raise SystemExit(f"round {number} ended {look.decision} {ended.outcome}: {look.verdict.message}")
    seen = breach_of(ports, MODEL, state.rollout_id)
    if seen is None:
        raise SystemExit(f"round {number} did not fail at a traffic stage")
    return measured(how, load.answers, began, seen.began_at)


def measured(how: str, answers: list[Answer], began: float, sufficed: float) -> Breach:
    """The spans of one round, from the instant at which it turned bad."""
    last = max((a.sent_at for a in answers if a.version == "2"), default=sufficed)
    bad = [a for a in answers if a.version == "2" and a.answered_at > began]
    return Breach(
        how, max(0.0, sufficed - began), max(0.0, last - max(sufficed, began)), sum(a.failed for a in answers), len(bad)
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name: str, rounds: Sequence[Breach]) -> str:
    """One line of the table: milliseconds, p50 / p99."""
    spans = ([b.evidence for b in rounds], [b.to_zero for b in rounds], [b.evidence + b.to_zero for b in rounds])
    shown = "".join(f"{1000 * quantile(span, 0.5):9.0f} / {1000 * quantile(span, 0.99):5.0f}" for span in spans)
    return f"{name:20} {len(rounds):6}{shown} {sum(b.failed for b in rounds):7} {sum(b.bad for b in rounds) / len(rounds):8.1f}"


def main() -> int:
    """Print the table; exit status 1 when a request failed, or more than one breach in a hundred took a second to 0 %."""
    logging.disable()  # what the guard and the incidents tell is told by the table
    breaches = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    place = Path(tempfile.mkdtemp()) / "bad"
    kinds = cycle(BAD)
    with bench(place) as ports:
        rounds = [breach(ports, number, next(kinds), place) for number in range(breaches)]
    print(f"{'ms, p50 / p99':20} {'rounds':>6}{'evidence':>17}{'to 0 %':>17}{'in all':>17} {'failed':>7} {'bad each':>8}")
    for how in BAD:
        if mine := [b for b in rounds if b.how == how]:
            print(row(how, mine))
    print(row("all", rounds))
    slow = [b for b in rounds if b.to_zero > 1.0]
    return 1 if sum(b.failed for b in rounds) or len(slow) > len(rounds) // 100 else 0


if __name__ == "__main__":
    sys.exit(main())
