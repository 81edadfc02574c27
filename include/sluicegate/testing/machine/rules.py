"""The state machine: at each step one thing happens to the world, and afterwards everything that must hold is looked at."""

from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sluicegate.testing.machine.actors import PORTS, Actor
from sluicegate.testing.machine.settle import settle
from sluicegate.testing.machine.work import MODEL, PEOPLE, Work, one, run
from sluicegate.testing.machine.world import BEHAVIOURS, RATE, World

MOST_ACTORS = 4
PEOPLES = sorted(PEOPLE)
WHICH = st.integers(0, MOST_ACTORS)
FAR = 400
"""Calls of ports that take a run through all its stages."""
SO_FAR = st.one_of(st.integers(0, 150), st.integers(0, 8), st.just(FAR))
"""Calls after which a run is caught: anywhere, while it opens its rollout, or at its end."""


class RolloutMachine(RuleBasedStateMachine):
    """Runs, people, crashes and outages, in any order."""

    reached: ClassVar[Counter[str]] = Counter()
    """How often which situation came about, over all sequences of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.reached)
        self.actors: list[Actor] = []
        self.aborted = False

    @initialize(
        calls=SO_FAR,
        aborted=st.booleans(),
        approval=st.sampled_from((False, False, True)),
        twice=st.sampled_from((0, 0, 0, 3, 4, 5)),
    )
    def a_run_has_come_so_far(self, calls: int, aborted: bool, approval: bool, twice: int) -> None:
        """Most accidents need a rollout that is somewhere on its way. At the end a new run goes on, or a person aborts it.

        `twice`: it is dispatched for the second time, and the first one was held up after so many calls.
        """
        self.aborted = aborted
        if approval:
            self.world.ask_for_approval()
        if twice:
            self._start("run 2a before", run("2", "a"), twice)
        self._start("run 2a", run("2", "a"), calls)
        if twice:
            self.actors[0].step(3)

    @precondition(lambda self: len(self.alive) < MOST_ACTORS)
    @rule(version=st.sampled_from("231"), run_id=st.sampled_from("ab"), calls=st.sampled_from((0, 9, 40, 90, FAR)))
    def a_run_starts_or_is_dispatched_again(self, version: str, run_id: str, calls: int) -> None:
        self._start(f"run {version}{run_id}", run(version, run_id), calls)

    @precondition(lambda self: len(self.alive) < MOST_ACTORS)
    @rule(
        verb=st.sampled_from(PEOPLES),
        before=st.sampled_from((0, 0, 0, 1)),
        index=st.integers(-1, 4),
        calls=st.sampled_from((FAR, 3, 6)),
    )
    def a_person_asks(self, verb: str, before: int, index: int, calls: int) -> None:
        self._ask(verb, before, index, calls)

    @precondition(lambda self: 0 < len(self.alive) < MOST_ACTORS)
    @rule(
        which=WHICH,
        calls=st.integers(0, 12),
        verb=st.sampled_from(PEOPLES),
        index=st.integers(0, 3),
        so_far=st.sampled_from((FAR, FAR, 5, 7)),
    )
    def somebody_is_faster(self, which: int, calls: int, verb: str, index: int, so_far: int) -> None:
        """Between two calls of one actor another one does something, wholly or in part, to what it is working on."""
        actor = self._which(which)
        actor.step(calls)
        self._ask(verb, 0, index, so_far)
        actor.step(3)

    @precondition(lambda self: self.alive)
    @rule(which=WHICH, calls=st.one_of(st.integers(1, 30), st.sampled_from((60, FAR))))
    def an_actor_goes_on(self, which: int, calls: int) -> None:
        self._which(which).step(calls)

    @precondition(lambda self: self.alive)
    @rule(which=WHICH)
    def an_actor_is_killed(self, which: int) -> None:
        self._which(which).kill()
        self.reached["killed"] += 1

    @rule(seconds=st.sampled_from((0.3, 5.0, 9.9, 11.0, 100.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from((-5.0, 15.0, 3600.0)))
    def the_clock_jumps(self, seconds: float) -> None:
        self.world.jump(seconds)

    @rule(how=st.sampled_from(sorted(BEHAVIOURS)), rate=st.sampled_from((RATE, RATE, 0.0)))
    def the_candidate_and_its_users_behave(self, how: str, rate: float) -> None:
        self.world.behave(how)
        self.world.traffic(rate)

    @rule(port=st.sampled_from((None, *PORTS)))
    def a_port_goes_down_or_all_are_back(self, port: str | None) -> None:
        self.world.outage(port) if port else self.world.ports_are_back()

    @rule(port=st.sampled_from([port for port in PORTS if port != "meter"]), when=st.sampled_from(("before", "after")))
    def the_next_call_fails(self, port: str, when: str) -> None:
        self.world.hiccup = (port, when)

    @rule(alive=st.booleans(), broken=st.sampled_from((None, "2", "3")))
    def the_guard_dies_or_is_restarted(self, alive: bool, broken: str | None) -> None:
        self.world.guard(alive)
        if broken:
            self.world.break_package(broken)

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

    def _ask(self, verb: str, before: int, index: int, calls: int) -> None:
        rollout_id = self.known[-1 - min(before, len(self.known) - 1)]
        self._start(f"{verb} {rollout_id}", one(verb, rollout_id, index), calls)

    def _start(self, name: str, work: Work, calls: int) -> None:
        actor = self.world.actor(name, work)
        self.actors.append(actor)
        actor.step(calls)


def machine(reached: Counter[str]) -> Any:
    """A machine class of its own that counts into `reached`."""
    return type("RolloutMachine", (RolloutMachine,), {"reached": reached})
