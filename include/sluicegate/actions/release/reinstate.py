"""The way back after a promotion: the old champion, still warm, serves again within a second."""

from sluicegate.actions.release.begin import give_back_lock
from sluicegate.actions.release.capacity import server
from sluicegate.actions.release.end import revert
from sluicegate.actions.release.follow import follow_up
from sluicegate.actions.release.read import champion_version, rollout
from sluicegate.domain.rollout import Kind, Outcome, Rollout
from sluicegate.domain.route import Route, Target
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports

ROUTED = "reinstated:route"
"""Journaled when the route is written, so that asking again later does not touch the traffic of a newer rollout."""


def reinstate(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str) -> Rollout:
    """Give all traffic back to the champion that this rollout replaced: lock, journal, route, then what follows.

    The journal comes before the route, as in a promotion: whoever finds the model after a crash finishes what it says.

    Raises
    ------
    RefusedError
        The rollout was not promoted, its old champion is retired or not ready, or a newer version serves.
    LockedError
        A newer rollout holds the model: abort that first.
    UnfinishedError
        The old champion serves, but something after that remains to be done: ask for the same again.
    """
    state = rollout(ports, model, rollout_id)
    if not state.reinstated:
        _refuse(ports, state)
    if ROUTED in state.followed_up:
        give_back_lock(ports, state)
    else:
        _serve_again(ports, state, author, reason)
    follow_up(ports, rollout(ports, model, rollout_id), author=author)
    return rollout(ports, model, rollout_id)


def take_back(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str) -> Rollout:
    """What a person means by `revert`: an open rollout is reverted, a promoted one gives way to its old champion."""
    promoted = rollout(ports, model, rollout_id).outcome is Outcome.PROMOTED
    return (reinstate if promoted else revert)(ports, model, rollout_id, author=author, reason=reason)


def _serve_again(ports: Ports, state: Rollout, author: str, reason: str) -> None:
    """Under a lock of its own, which is kept when the route cannot be written: until then no newer rollout may begin."""
    model, rollout_id = state.model, state.rollout_id
    old = _ready(ports, state)
    ports.journal.release(model, state.token)  # what a promotion that was killed may have left, for a newer one
    lock = ports.journal.acquire(model, rollout_id)
    if not state.reinstated:
        data = {"champion": state.champion, "candidate": state.candidate, "reason": reason}
        once = (Kind.REINSTATED, Kind.RETIRED)
        try:
            ports.journal.append(
                model, rollout_id, Kind.REINSTATED, data, author=author, reason=reason, token=lock.token, unless=once
            )
        except RefusedError:
            ports.journal.release(model, lock.token, unless=(Kind.REINSTATED,))  # then the lock is also that of who was faster
            raise
    ports.router.apply(Route(model, old, token=lock.token))
    ports.journal.append(model, rollout_id, Kind.FOLLOWED_UP, {"what": ROUTED}, author=author, token=lock.token)
    ports.journal.release(model, lock.token)


def _ready(ports: Ports, state: Rollout) -> Target:
    found = server(ports, state.model, state.champion or "")
    if found is None or not found.ready:
        detail = "has no server" if found is None else f"is not healthy ({found.detail})"
        raise RefusedError(
            f"version {state.champion} of model '{state.model}' {detail}: it cannot be re-instated, release it again"
        )
    return found.target


def _refuse(ports: Ports, state: Rollout) -> None:
    name = f"rollout '{state.rollout_id}' of model '{state.model}'"
    if state.open:
        raise RefusedError(f"{name} is still open: abort or revert it instead")
    if state.outcome is not Outcome.PROMOTED:
        raise RefusedError(f"{name} has ended {state.outcome}: its champion never left the service")
    if state.champion is None:
        raise RefusedError(f"{name} put the first version in service: there is no older champion to go back to")
    if state.retired:
        raise RefusedError(
            f"version {state.champion} of model '{state.model}' is retired: it cannot be re-instated, release it again"
        )
    serves = champion_version(ports, state.model)
    if serves != state.candidate:
        raise RefusedError(f"{name} is history: version {serves} is the champion of model '{state.model}' now")
