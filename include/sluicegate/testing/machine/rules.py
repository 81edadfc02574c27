"""The state machine: at each step one thing happens to the world, and afterwards everything that must hold is looked at."""

from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sluicegate.testing.machine.actors import PORTS, Actor
from sluicegate.testing.machine.settle import settle
from sluicegate.testing.machine.work import PEOPLE, Work, one, run
from sluicegate.testing.machine.world import BEHAVIOURS, MODEL, RATE, World

MOST_ACTORS = 4
FAR = 400
"""Calls of ports that take a run through all its stages."""


class RolloutMachine(RuleBasedStateMachine):
    """Runs, people, crashes and outages, in any order."""

    reached: ClassVar[Counter[str]] = Counter()
    """How often which situation came about, over all sequences of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.reached)
        self.actors: list[Actor] = []
        self.aborted = False

    @initialize(calls=st.integers(0, 180), aborted=st.booleans())
    def a_run_has_come_so_far(self, calls: int, aborted: bool) -> None:
        """Most accidents need a rollout that is somewhere on its way. At the end a new run goes on, or a person aborts it."""
        self.aborted = aborted
        self._start("run 2a", run("2", "a"), calls)

    @precondition(lambda self: len(self.alive) < MOST_ACTORS)
    @rule(version=st.sampled_from("123"), run_id=st.sampled_from("ab"), far=st.booleans())
    def a_run_starts_or_is_dispatched_again(self, version: str, run_id: str, far: bool) -> None:
        self._start(f"run {version}{run_id}", run(version, run_id), FAR if far else 0)

    @precondition(lambda self: len(self.alive) < MOST_ACTORS and self.known)
    @rule(
        verb=st.sampled_from(sorted(PEOPLE)),
        which=st.integers(0, 3),
        index=st.integers(-1, 4),
        calls=st.sampled_from((3, 8, FAR)),
    )
    def a_person_asks(self, verb: str, which: int, index: int, calls: int) -> None:
        rollout_id = self.known[-1 - which % len(self.known)]
        self._start(f"{verb} {rollout_id}", one(verb, rollout_id, index), calls)

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, MOST_ACTORS), calls=st.one_of(st.integers(1, 12), st.sampled_from((40, FAR))))
    def an_actor_goes_on(self, which: int, calls: int) -> None:
        self._which(which).step(calls)

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, MOST_ACTORS))
    def an_actor_is_killed(self, which: int) -> None:
        self._which(which).kill()
        self.reached["killed"] += 1

    @rule(seconds=st.sampled_from((0.3, 5.0, 9.9, 11.0, 100.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from((-5.0, 15.0, 3600.0)))
    def the_clock_jumps(self, seconds: float) -> None:
        self.world.jump(seconds)

    @rule(how=st.sampled_from(sorted(BEHAVIOURS)))
    def the_candidate_behaves(self, how: str) -> None:
        self.world.behave(how)

    @rule(rate=st.sampled_from((0.0, RATE)))
    def the_traffic_is(self, rate: float) -> None:
        self.world.traffic(rate)

    @rule(port=st.sampled_from(PORTS))
    def a_port_goes_down(self, port: str) -> None:
        self.world.outage(port)

    @rule()
    def all_ports_are_back(self) -> None:
        self.world.ports_are_back()

    @rule(port=st.sampled_from([port for port in PORTS if port != "meter"]), when=st.sampled_from(("before", "after")))
    def the_next_call_fails(self, port: str, when: str) -> None:
        self.world.hiccup = (port, when)

    @rule(version=st.sampled_from("23"))
    def a_package_turns_out_broken(self, version: str) -> None:
        self.world.break_package(version)

    @rule(alive=st.booleans())
    def the_guard_dies_or_is_restarted(self, alive: bool) -> None:
        self.world.guard(alive)

    @invariant()
    def everything_holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """Everybody is killed, everything works again: what one new actor then does must bring the rollout to its end."""
        for actor in self.actors:
            actor.kill()
        settle(self.world, aborted=self.aborted)
        self.reached["sequences"] += 1

    @property
    def alive(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.alive]

    @property
    def known(self) -> list[str]:
        return [str(e.rollout) for e in self.world.fakes.journal.events(MODEL, kinds=("OPENED",))]

    def _which(self, which: int) -> Actor:
        return self.alive[which % len(self.alive)]

    def _start(self, name: str, work: Work, calls: int) -> None:
        actor = self.world.actor(name, work)
        self.actors.append(actor)
        actor.step(calls)


def machine(reached: Counter[str]) -> Any:
    """A machine class of its own that counts into `reached`."""
    return type("RolloutMachine", (RolloutMachine,), {"reached": reached})
