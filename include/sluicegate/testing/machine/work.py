"""What actors do: a whole run as Airflow would do it, or one verb as a person asks for it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sluicegate.actions import release
from sluicegate.actions.release.abandoned import finish
from sluicegate.domain.rollout import Outcome
from sluicegate.errors import PausedError, RefusedError, SluicegateError, UnavailableError

MODEL = "toy"
TRIES = 6
"""Times that somebody who does not answer is asked again."""
PAUSE = 0.5
"""Seconds between two tries."""
MOST_LOOKS = 60
Work = Callable[[Any], None]


def run(version: str, run_id: str) -> Work:
    """One run of the release Dag, from wherever the rollout stands: forwards, and back when anything goes wrong."""

    def work(ports: Any) -> None:
        opened = _patiently(ports, lambda: release.open_rollout(ports, MODEL, version, author="run", run_id=run_id))
        go_on(opened.rollout_id)(ports)

    return work


def go_on(rollout_id: str) -> Work:
    """The rest of a run whose rollout is open already."""

    def work(ports: Any) -> None:
        try:
            _forwards(ports, rollout_id)
        except SluicegateError:
            _patiently(ports, lambda: _back(ports, rollout_id))

    return work


def _back(ports: Any, rollout_id: str) -> None:
    """The way back of a run: it also finishes a promotion that was cut short."""
    if release.rollout(ports, MODEL, rollout_id).outcome is Outcome.PROMOTED:
        release.promote(ports, MODEL, rollout_id, author="run")
    else:
        release.revert(ports, MODEL, rollout_id, author="run", reason="task_failed")


def sweep(ports: Any) -> None:
    """What the sweep does about a lock behind which nobody stands."""
    lock = ports.journal.locks().get(MODEL)
    if lock is not None:
        finish(ports, lock, author="sweep")


def one(verb: str, rollout_id: str, index: int) -> Work:
    """One verb, asked for by a person who may be wrong."""

    def work(ports: Any) -> None:
        PEOPLE[verb](ports, rollout_id, index)

    return work


def _forwards(ports: Any, rollout_id: str) -> None:
    state = _patiently(ports, lambda: release.deploy(ports, MODEL, rollout_id, author="run"))
    waiting = bool(state.records) and state.records[-1].verdict is None
    for index in range(len(state.records) - waiting, len(state.stages)):
        _patiently(ports, partial(release.enter_stage, ports, MODEL, rollout_id, index, author="run"))
        if _watch(ports, rollout_id, index) != "pass":
            raise RefusedError(f"stage {index} did not pass")
    _patiently(ports, lambda: release.promote(ports, MODEL, rollout_id, author="run"))


def _watch(ports: Any, rollout_id: str, index: int) -> str:
    """As the gate's trigger does: also a decision whose event was lost counts."""
    state = _patiently(ports, lambda: release.rollout(ports, MODEL, rollout_id))
    if state.records[index].verdict is not None:
        return {"PASS": "pass", "FAIL": "fail"}.get(str(state.records[index].verdict), "undecided")
    watch = _patiently(ports, lambda: release.open_watch(ports, MODEL, rollout_id, index, author="run"))
    for _ in range(MOST_LOOKS):
        look = _patiently(ports, watch.look)
        if look.decided:
            return str(look.decision)
        ports.clock.sleep(watch.look_every)
    return "undecided"


def _look_once(ports: Any, rollout_id: str, index: int) -> None:
    release.open_watch(ports, MODEL, rollout_id, index, author="person").look()


def _patiently(ports: Any, ask: Callable[[], Any]) -> Any:
    for _ in range(TRIES - 1):
        try:
            return ask()
        except (UnavailableError, PausedError):
            ports.clock.sleep(PAUSE)
    return ask()


def _by_a_person(verb: str) -> Callable[[Any, str, int], object]:
    return lambda ports, rollout, _: getattr(release, verb)(ports, MODEL, rollout, author="person", reason="doubt")


PEOPLE: dict[str, Callable[[Any, str, int], object]] = {
    "deploy": lambda ports, rollout, _: release.deploy(ports, MODEL, rollout, author="person"),
    "enter_stage": lambda ports, rollout, index: release.enter_stage(ports, MODEL, rollout, index, author="person"),
    "look": _look_once,
    "promote": lambda ports, rollout, _: release.promote(ports, MODEL, rollout, author="person"),
    "cut_now": lambda ports, _, __: release.cut_now(ports, MODEL),
    **{
        verb: _by_a_person(verb) for verb in ("pause", "resume", "approve", "abort", "revert", "reinstate", "take_back", "retire")
    },
}
"""Verbs by name: (ports, rollout id, index of a stage)."""
