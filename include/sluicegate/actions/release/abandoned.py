"""Rollouts that nobody works on any more: a person marked their run as done, their Dag is gone, the machine of Airflow is off.

Their lease has long given the traffic back. Here they are ended, so that the model's lock is free and people are told. What is locked
stands in the journal, so the sweep needs no model's files and may run anywhere.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.actions.release.end import promote, revert
from sluicegate.actions.release.read import rollout
from sluicegate.actions.release.reinstate import reinstate
from sluicegate.domain.rollout import Kind, Outcome, Rollout
from sluicegate.domain.spec import ABANDONED_S
from sluicegate.errors import SluicegateError
from sluicegate.ports import Lock, Ports

PAUSE_S = 5.0
"""Between two looks of the sweep."""
AUTHOR = "sweep"
REASON = "abandoned"
LOG = logging.getLogger("sluicegate.sweep")


def finish(ports: Ports, lock: Lock, *, author: str) -> Rollout | None:
    """Bring what holds the model's lock to its end: what was decided is carried out, what was not decided is taken back.

    Returns None when the lock was taken for something that never began. Asking again changes nothing.
    """
    model, rollout_id = lock.model, lock.holder
    if not ports.journal.events(model, rollout_id, kinds=(Kind.OPENED,)):
        ports.journal.release(model, lock.token)  # killed between taking the lock and writing down why
        return None
    state = rollout(ports, model, rollout_id)
    if state.reinstated:
        return reinstate(ports, model, rollout_id, author=author, reason=REASON)
    if state.outcome is Outcome.PROMOTED:
        return promote(ports, model, rollout_id, author=author)
    return revert(ports, model, rollout_id, author=author, reason=REASON)


@dataclass
class Silence:
    """How long nothing was journaled about whoever holds a lock."""

    token: int
    number: int
    """Of the newest event."""
    since: float
    """Uptime at which it was first seen."""


class Sweep:
    """Looks whether every held lock still has somebody behind it. Silence is counted by uptime, which nobody sets back.

    Holds nothing that matters: one that starts again counts anew.
    """

    def __init__(self, ports: Ports, uptime: Callable[[], float] = time.monotonic) -> None:
        self._ports, self._uptime = ports, uptime
        self._silence: dict[str, Silence] = {}
        self._begun: set[Lock] = set()  # ends that may have been left half made

    def look(self) -> list[Lock]:
        """End what has been silent for longer than its plan allows; returns the locks that were behind it.

        Raises UnavailableError when the journal does not say what is locked.
        """
        locks = self._ports.journal.locks()
        self._silence = {model: known for model, known in self._silence.items() if model in locks}
        self._begun &= set(locks.values())
        return [lock for lock in locks.values() if self._ended(lock)]

    def _ended(self, lock: Lock) -> bool:
        try:
            silent = self._silent_for(lock)
            if silent < self._patience(lock) and lock not in self._begun:
                return False
            _log("abandoned", model=lock.model, holder=lock.holder, silent_s=round(silent, 1))
            self._begun.add(lock)
            finish(self._ports, lock, author=AUTHOR)
        except SluicegateError as problem:  # asked again at the next look
            _log("sweep_trouble", model=lock.model, problem=f"{type(problem).__name__}: {problem}")
            return False
        return True

    def _silent_for(self, lock: Lock) -> float:
        known = self._silence.get(lock.model)
        after = known.number if known is not None and known.token == lock.token else self._opened(lock)
        news = self._ports.journal.events(lock.model, after=after)
        if known is None or known.token != lock.token or news:
            known = Silence(lock.token, news[-1].number if news else after, self._uptime())
            self._silence[lock.model] = known
        return self._uptime() - known.since

    def _opened(self, lock: Lock) -> int:
        """Number of the event with which this began: what came before need not be read."""
        opened = self._ports.journal.events(lock.model, lock.holder, kinds=(Kind.OPENED,))
        return opened[-1].number if opened else 0

    def _patience(self, lock: Lock) -> float:
        """Seconds of silence that are allowed; without end while a person holds the rollout."""
        if not self._ports.journal.events(lock.model, lock.holder, kinds=(Kind.OPENED,)):
            return ABANDONED_S
        state = rollout(self._ports, lock.model, lock.holder)
        return float("inf") if state.open and state.paused_at is not None else state.release.abandoned


def run_sweep(ports: Ports, *, stopped: Callable[[float], bool], looked: Callable[[], None] = lambda: None) -> None:
    """Look every few seconds until `stopped`, which waits so many seconds. `looked` is called after every look at the journal."""
    sweep = Sweep(ports)
    while not stopped(PAUSE_S):
        try:
            sweep.look()
        except SluicegateError as problem:
            _log("sweep_trouble", problem=f"{type(problem).__name__}: {problem}")
        else:
            looked()


def _log(event: str, **fields: object) -> None:
    LOG.warning(json.dumps({"event": event, **fields}, default=str))
