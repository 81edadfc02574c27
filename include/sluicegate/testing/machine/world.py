"""The world of the machine: the shipped fakes, outages, how the candidate behaves, and the guard that ticks as time passes."""

import threading
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sluicegate.actions.guard import PAUSE_S, look
from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import UnavailableError
from sluicegate.testing.machine.actors import Actor
from sluicegate.testing.machine.meter import WholeMeter
from sluicegate.testing.machine.witness import Exposure, Witness
from sluicegate.testing.machine.work import MODEL, run
from sluicegate.testing.meter import Behaviour
from sluicegate.testing.ports import FakePorts

SPEC: dict[str, Any] = {
    "model": MODEL,
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {
        "stages": [
            {"mirror": 50, "bake": "4s", "min_requests": 100, "deadline": "40s"},
            {"weight": 10, "bake": "4s", "min_requests": 20, "deadline": "40s"},
            {"weight": 50, "bake": "4s", "min_requests": 100, "deadline": "40s"},
            {"weight": 100, "bake": "4s", "deadline": "40s"},
        ],
        "gates": {"p95_ms": 25, "error_rate": {"margin": 0.02}},
        "look_every": "2s",
        "lease": "10s",
        "blind": "6s",
    },
}
PREDICTED = {
    "rows": 10_000,
    "mean_score": 0.3,
    "decision_rate": 0.2,
    "histogram": [1 / SCORE_BINS] * SCORE_BINS,
    "champion_mean_score": 0.3,
    "champion_decision_rate": 0.2,
}
BEHAVIOURS = {
    "healthy": Behaviour(),
    "slow": Behaviour(slow=0.6),
    "errors": Behaviour(errors=0.3),
}
BUCKETS = 25
"""Of users: a few more than the gates need to say anything."""
RATE = 4000.0
"""Requests a second of all users."""


@dataclass
class World:
    """One model, version 1 in service, versions 2 and 3 registered."""

    reached: Counter[str] = field(default_factory=Counter)
    """How often which situation came about."""

    def __post_init__(self) -> None:
        self.model_spec = parse_spec(SPEC, f"{MODEL}/spec.yaml")
        self.fakes = FakePorts(self.model_spec)
        self.settings = self.fakes.settings
        self.fakes.meter = WholeMeter(self.fakes.clock, self.fakes.router, rate=RATE, buckets=BUCKETS)
        self.witness = Witness(self.fakes, self.reached)
        self.exposure = Exposure(self.fakes)
        self.down: set[str] = set()
        """Ports that do not answer."""
        self.hiccup: tuple[str, str] | None = None
        """The next call of this port fails: (port, before or after it took effect)."""
        self.guard_alive = True
        self.behaviour = "healthy"
        for version in ("1", "2", "3"):
            self.fakes.register(version, predicted=PREDICTED)
        first = self.actor("first", run("1", "first"))
        first.step(1000)
        assert self.witness.champion == "1", first.error

    def ask_for_approval(self) -> None:
        """Rollouts that are opened from now on need a person's yes at their first weight."""
        raw = deepcopy(SPEC)
        raw["release"]["stages"][1]["approve"] = True
        self.model_spec = self.fakes.model_spec = parse_spec(raw, f"{MODEL}/spec.yaml")

    def actor(self, name: str, work: Callable[[Any], None]) -> Actor:
        return Actor(name, self, work)

    def call(self, actor: Actor, port: str, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Carry out an actor's call, or fail as the outside does; the witness sees what took effect."""
        fails = self._failure(port)
        if fails == "before":
            raise UnavailableError(f"the {port} does not answer")
        self.exposure.advance(self.behaviour)
        result = getattr(getattr(self.fakes, port), verb)(*args, **kwargs)
        self.witness.saw(actor, port, verb, args, kwargs, result, self.exposure)
        if fails == "after":
            raise UnavailableError(f"the answer of the {port} was lost")
        return result

    def now(self) -> float:
        return self.fakes.clock.now()

    def pass_time(self, seconds: float) -> None:
        """Let time pass; the guard looks as soon as a lease is over, or up to one of its pauses later."""
        end = self.now() + seconds
        route = self.fakes.router.read(MODEL)
        while self.guard_alive and route is not None and route.expires_at is not None and route.expires_at + PAUSE_S <= end:
            self._until(max(self.now(), route.expires_at + PAUSE_S))
            self.guard_looks()
            route = self.fakes.router.read(MODEL)
        self._until(max(self.now(), end))
        self.check()

    def jump(self, seconds: float) -> None:
        """The machine was suspended for so long, or, when negative, its clock was set back."""
        self._until(self.now() + seconds)
        self.witness.clock_was_set(seconds)
        self.reached["clock jump"] += 1
        if self.guard_alive:
            self.guard_looks()

    def guard_looks(self) -> None:
        """One look of the shipped guard, its notes to the journal waited for."""
        self.exposure.advance(self.behaviour)
        before = set(threading.enumerate())
        cut = look(self.fakes)
        for thread in set(threading.enumerate()) - before:
            thread.join()
        if cut:
            self.reached["guard cut"] += 1

    def behave(self, how: str) -> None:
        """The candidate behaves otherwise from now on."""
        self.exposure.advance(self.behaviour)
        self.behaviour = how
        self.fakes.meter.candidate = BEHAVIOURS[how]

    def traffic(self, rate: float) -> None:
        """So many requests a second from now on."""
        self.exposure.advance(self.behaviour)
        self.fakes.meter.rate = rate

    def outage(self, port: str) -> None:
        """The port does not answer; a meter says so in its reading instead."""
        if port == "meter":
            self.fakes.meter.gone = "the metric source does not answer"
        else:
            self.down.add(port)

    def ports_are_back(self) -> None:
        self.down.clear()
        self.hiccup = None
        self.fakes.meter.gone = ""

    def guard(self, alive: bool) -> None:
        """It dies, or its supervisor has restarted it."""
        self.guard_alive = alive
        self.reached["guard dead"] += not alive
        if alive:
            self.guard_looks()

    def break_package(self, version: str) -> None:
        """A server that starts from now on does not reproduce its golden outputs."""
        if version != self.witness.champion:
            self.fakes.runtime.broken = (version,)

    def check(self) -> None:
        """What must hold at every instant."""
        self.witness.looks_around(self.guard_alive)

    def repair(self) -> None:
        """Everything outside works again."""
        self.ports_are_back()
        self.fakes.runtime.broken = ()
        self.guard(True)

    def _until(self, moment: float) -> None:
        self.exposure.advance(self.behaviour)
        self.fakes.clock.sleep(moment - self.now())
        self.exposure.advance(self.behaviour)

    def _failure(self, port: str) -> str:
        if port in self.down:
            self.reached[f"{port} down"] += 1
            return "before"
        if self.hiccup is not None and self.hiccup[0] == port:
            when, self.hiccup = self.hiccup[1], None
            self.reached[f"{port} failed {when} its effect"] += 1
            return when
        return ""
