"""The rounds: wait until some lane stands at the drawn step, hit the drawn target, wait until it is back, go on."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psutil
from tests.faults.accidents import KINDS as ACCIDENTS
from tests.faults.accidents import Accidents
from tests.faults.records import Hit
from tests.faults.tape import STEPS, Tape
from tests.faults.targets import KILLED, OTHERS, SERVERS, STOPPED, Target

from sluicegate.errors import SluicegateError, UnavailableError

SELDOM = {"supervisor": 0.25}
"""Chance of a target relative to the others: after the supervisor's death everything is started anew, most of a minute."""
STEP_PATIENCE = 10.0


@dataclass(frozen=True)
class Draw:
    """What a round is to do."""

    target: str
    how: str
    step: str
    delay: float
    """Seconds after the lane has come to the step."""


def draws(
    seed: int, rounds: int, how: str, target: str | None, at: str | None, others: Sequence[str] = tuple(OTHERS)
) -> Iterator[Draw]:
    """The rounds of a seed; `target` and `at` (a step, or seconds after the deployment) fix what they name.

    Parameters
    ----------
    how
        kill, stop, other (databases and disks), act (what happens in Airflow itself), or any of these.
    others
        What can be locked, filled or restarted in this installation.
    """
    dice = random.Random(seed)
    victims = {"kill": KILLED, "stop": STOPPED, "other": tuple(others), "act": tuple(ACCIDENTS)}
    for _ in range(rounds):
        what = dice.choice(list(victims)) if how == "any" else how
        names = victims[what]
        (name,) = dice.choices(names, [SELDOM.get(n, 1.0) for n in names])
        step, delay = dice.choice(STEPS), dice.uniform(0.0, 1.5)
        if target is not None:
            name, what = target, _way(target, what)
        if at is not None:
            step, delay = (at, delay) if at in STEPS else ("deployed", float(at))
        yield Draw(name, OTHERS.get(name, what), step, delay)


def _way(target: str, drawn: str) -> str:
    """How a named target is hit: as it was drawn where that is possible."""
    if target in ACCIDENTS:
        return "act"
    if target in OTHERS:
        return "other"
    return drawn if drawn in ("kill", "stop") else "kill"


class Rounds:
    """Carries out draws against one running installation."""

    def __init__(
        self,
        target: Target,
        accidents: Accidents,
        tape: Tape,
        lanes: Sequence[str],
        lease: float,
        say: Callable[[str], None],
    ) -> None:
        self._target, self._accidents, self._tape, self._lanes = target, accidents, tape, lanes
        self._lease, self._say = lease, say
        self.patience = STEP_PATIENCE
        """Seconds to wait for a lane at the drawn step; then whatever stands somewhere is hit where it stands."""
        self.hits: list[Hit] = []
        self.stuck: list[str] = []
        """One sentence a target that did not come back."""

    def carry_out(self, draw: Draw) -> Hit:
        """One round. Returns when the target is back; the rollouts that it met go on."""
        while True:
            lane = self._lane_at(draw.step)
            time.sleep(draw.delay)
            self._wind()
            try:
                return self._hit(draw, lane)
            except (LookupError, ProcessLookupError, psutil.Error):  # nothing of that kind runs at this instant
                time.sleep(0.2)

    def _lane_at(self, step: str) -> str:
        """A lane that has just come to the step; after a while any lane with a rollout under way."""
        before = {lane: self._tape.step(lane) for lane in self._lanes}
        until = time.monotonic() + self.patience
        while True:
            self._wind()
            steps = {lane: self._tape.step(lane) for lane in self._lanes}
            if new := [lane for lane, at in steps.items() if at == step and before[lane] != step]:
                return new[0]
            going = [lane for lane, at in steps.items() if at]
            if going and time.monotonic() > until:
                return going[len(self.hits) % len(going)]
            before = steps
            time.sleep(0.1)

    def _hit(self, draw: Draw, lane: str) -> Hit:
        champion, candidate = self._tape.versions(lane)
        version = {"champion": champion, "candidate": candidate}.get(draw.target, "")
        if draw.target in SERVERS and not version:
            raise LookupError(f"{lane} has no {draw.target} now")
        step, at, met = self._tape.step(lane), time.time(), self._tape.open()
        over = self._do(draw, lane, version)
        try:
            over()
        except (TimeoutError, SluicegateError) as problem:  # what does not come back is found out, not a crash of the finder
            self.stuck.append(f"{draw.how} {draw.target} at {step}: {problem}")
        hit = Hit(len(self.hits) + 1, draw.target, draw.how, lane, step or "between", at, time.time(), met)
        self.hits.append(hit)
        self._say(f"{hit.number:4} {hit.how:4} {hit.target:16} {lane} at {hit.step:9} back after {hit.back_at - at:5.2f} s")
        return hit

    def _do(self, draw: Draw, lane: str, version: str) -> Callable[[], None]:
        longer = self._lease + 3.0
        match draw.how:
            case "kill":
                return self._target.kill(draw.target, lane, version)
            case "stop":
                return self._target.stop(draw.target, lane, version, longer)
            case "lock":
                return self._target.lock(draw.target, longer)
            case "restart":
                return self._target.restart(longer)
            case "act":
                return self._accidents.happen(draw.target, lane, longer)
        return self._target.fill(longer)

    def _wind(self) -> None:
        try:
            self._tape.wind()
        except UnavailableError:
            time.sleep(0.2)
