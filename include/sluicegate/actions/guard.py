"""The lease guard: whoever gave the candidate its weight must keep saying so, or the weight is taken back.

It runs beside the gateway and needs nothing else: no Airflow, no journal, no admin interface. The decision is `Route.lease_over`;
the router makes it under its own lock, so a renewal in the same instant is not lost and a newer holder's route not overwritten.
In a cluster whose gateway is not ours the same loop is the keeper: a pod of its own that may do nothing but write routes.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

from sluicegate.domain.rollout import Kind
from sluicegate.domain.route import Route
from sluicegate.ports.clock import Clock
from sluicegate.ports.journal import Journal

PAUSE_S = 0.2
"""Between two looks: a lease is enforced at most this long, and some milliseconds, after its end."""
STEP_S = 1.0
"""A clock that lags so much more behind the machine's uptime than at the look before was set back, and every lease with it is too long."""
REASON = "LEASE_EXPIRED"
AUTHOR = "guard"
LOG = logging.getLogger("sluicegate.guard")


class Enforcer(Protocol):
    """What cuts; every Router can."""

    def enforce(self, now: float) -> list[Route]:
        """As the Router's."""
        ...


class GuardPorts(Protocol):
    """What the guard needs; every `Ports` has it."""

    @property
    def clock(self) -> Clock: ...
    @property
    def router(self) -> Enforcer: ...
    @property
    def journal(self) -> Journal | None:
        """None where a guard has no database to tell: it then tells its log alone."""
        ...


def run_guard(
    ports: GuardPorts,
    *,
    pause: float = PAUSE_S,
    stopped: Callable[[], bool] = lambda: False,
    uptime: Callable[[], float] = time.monotonic,
    looked: Callable[[], None] = lambda: None,
) -> None:
    """Enforce leases until `stopped`; begins with a look, outlives every error, tells each new one once.

    Leases end by the wall clock, which may be set back. `uptime` (seconds, never set back) shows that; then all weights are cut.
    `looked` is called after every look that met no trouble.
    """
    trouble, ahead = "", -math.inf
    while not stopped():
        before, ahead = ahead, ports.clock.now() - uptime()
        told = _look_safely(ports, math.inf if ahead < before - STEP_S else None)
        if told and told != trouble:
            _log("guard_trouble", problem=told)
        if not told:
            looked()
        trouble = told
        ports.clock.sleep(pause)


def look(ports: GuardPorts, now: float | None = None) -> list[Route]:
    """Cut what has no lease at `now`, log it, and tell the journal without waiting for it. Returns the routes as they were."""
    cut = ports.router.enforce(ports.clock.now() if now is None else now)
    for route in cut:
        _log("lease_expired", **asdict(route))
        if ports.journal is not None:
            threading.Thread(target=_note, args=(ports.journal, route), daemon=True).start()
    return cut


def _look_safely(ports: GuardPorts, now: float | None) -> str:
    try:
        look(ports, now)
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"
    return ""


def _note(journal: Journal, route: Route) -> None:
    """The rollout's own events decide what comes next; this one only tells why its traffic was gone."""
    data = {"reason": REASON, "route": asdict(route)}
    message = f"nobody renewed the lease of weight {route.weight}: all traffic is with the champion again"
    try:
        journal.append(route.model, route.salt, Kind.TROUBLE, {**data, "message": message}, author=AUTHOR, reason=REASON)
    except Exception as problem:
        _log("journal_missed", model=route.model, problem=f"{type(problem).__name__}: {problem}")


def _log(event: str, **fields: object) -> None:
    LOG.warning(json.dumps({"event": event, **fields}, default=str))
