"""The ends of a rollout: promote, revert, abort, retire. The cut comes first; what follows may fail and be asked for again."""

from collections.abc import Iterator
from contextlib import contextmanager

from sluicegate.actions.release.begin import give_back_lock, target
from sluicegate.actions.release.capacity import let_shrink
from sluicegate.actions.release.cut import cut, last_token, verify
from sluicegate.actions.release.follow import follow_up
from sluicegate.actions.release.read import champion_version, rollout, status
from sluicegate.domain.rollout import ENDS, Kind, Outcome, Phase, Rollout
from sluicegate.domain.route import Route
from sluicegate.errors import PausedError, RefusedError, UnavailableError, UnfinishedError
from sluicegate.ports import Ports

RETENTION_OVER = "retention_over"


def promote(ports: Ports, model: str, rollout_id: str, *, author: str) -> Rollout:
    """Make the candidate champion: journal, route, lock, alias. The old champion stays warm until it is retired.

    Raises RefusedError unless every stage of the plan has passed (a first version has no stages), PausedError while a person holds it.
    """
    state = rollout(ports, model, rollout_id)
    if state.reinstated:
        return state  # what follows a re-instatement begins with the route, which is not written here
    if state.outcome is not Outcome.PROMOTED:
        _refuse_promotion(state)
        data = {"candidate": state.candidate, "champion": state.champion, "reason": _why_promoted(state)}
        ports.journal.append(model, rollout_id, Kind.PROMOTED, data, author=author, token=state.token, unless=ENDS)
    _serve(ports, state)
    promoted = rollout(ports, model, rollout_id)
    if not promoted.reinstated:  # as read here: taken back a moment later, the candidate's server still has the route
        give_back_lock(ports, promoted, unless=(Kind.REINSTATED,))
        follow_up(ports, promoted, author=author)
    return rollout(ports, model, rollout_id)


def revert(
    ports: Ports, model: str, rollout_id: str, *, author: str, reason: str, outcome: Outcome = Outcome.REVERTED
) -> Rollout:
    """Take the candidate back: cut, journal, verify, give the lock back, then what follows. Asking again does what remains.

    Raises RefusedError when it was promoted, UnfinishedError when it has ended but something after that remains to be done.
    """
    state = rollout(ports, model, rollout_id)
    if state.outcome is Outcome.PROMOTED:
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' was promoted: re-instate the old champion instead")
    if state.open:
        _end(ports, state, author, reason, outcome)
    give_back_lock(ports, state)
    follow_up(ports, rollout(ports, model, rollout_id), author=author)
    return rollout(ports, model, rollout_id)


def abort(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str) -> Rollout:
    """A person stops the rollout: reverted like any other, with the outcome ABORTED."""
    state = rollout(ports, model, rollout_id)
    if not state.open and state.outcome is not Outcome.ABORTED:
        hint = ": re-instate the old champion instead" if state.outcome is Outcome.PROMOTED else ""
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' has ended {state.outcome} and cannot be aborted{hint}")
    return revert(ports, model, rollout_id, author=author, reason=reason, outcome=Outcome.ABORTED)


def cut_by_hand(
    ports: Ports, model: str, rollout_id: str, *, author: str, reason: str, outcome: Outcome = Outcome.REVERTED
) -> None:
    """The first half of an abort or a revert, for who may cut traffic but stop no server: cut, and journal why and how it ends.

    Nothing is cut that has ended. Whoever ends the rollout then, a sweep too, does so with this reason and this outcome.
    """
    state = rollout(ports, model, rollout_id)
    if state.open and state.cut_at is None:
        cut(ports, state)
        with _promotion_stands(ports, state):
            _journal_cut(ports, state, author, reason, outcome)


def retire(ports: Ports, model: str, rollout_id: str, *, author: str, reason: str = RETENTION_OVER) -> Rollout:
    """Stop the old champion's server after its retention; refuses while anything still routes to it.

    Under a lock of its own, so that nobody can begin to need the server while it is being stopped.
    Raises LockedError while a rollout, or somebody who re-instates, holds the model.
    """
    state = rollout(ports, model, rollout_id)
    name = f"rollout '{rollout_id}' of model '{model}'"
    if state.reinstated:
        raise RefusedError(f"{name} was taken back: version {state.champion} is the champion again and stays")
    if state.outcome is not Outcome.PROMOTED:
        raise RefusedError(f"{name} was not promoted: its champion is still in service")
    if state.retired or state.champion is None:
        return state
    lock = ports.journal.acquire(model, f"{rollout_id}:retire")
    try:
        _refuse_retirement(ports, state, state.champion)
        ports.runtime.stop(model, state.champion)
        let_shrink(ports, model, champion_version(ports, model) or state.candidate, state.serving.servers)
        data = {"version": state.champion}
        ports.journal.append(model, rollout_id, Kind.RETIRED, data, author=author, reason=reason, token=lock.token)
    finally:
        ports.journal.release(model, lock.token)
    return rollout(ports, model, rollout_id)


def _end(ports: Ports, state: Rollout, author: str, reason: str, outcome: Outcome) -> None:
    """Cut, journal the cut, verify it, journal the end. Whoever cut first says why and how it ends; of two, one journals it."""
    route = cut(ports, state)
    why: dict[str, object] = {"reason": reason, "message": ""}
    with _promotion_stands(ports, state):
        if state.cut_at is None:
            _journal_cut(ports, state, author, reason, outcome)
        else:
            outcome = state.ending or outcome
            why = {"reason": state.cut_reason or reason, "message": ""}
        if state.phase is Phase.FAILED:  # a stage that passed has a reason and a message too: those of its PASS
            why = {"reason": state.reason or reason, "message": state.message}
        end: dict[str, object] = {"outcome": outcome, **why, **_verified(ports, state, route)}
        _journal_end(ports, state, Kind.REVERTED, end, author, str(why["reason"]))


def _journal_cut(ports: Ports, state: Rollout, author: str, reason: str, outcome: Outcome) -> None:
    _journal_end(ports, state, Kind.CUT, {"reason": reason, "outcome": outcome}, author)


def _journal_end(ports: Ports, state: Rollout, kind: Kind, data: dict[str, object], author: str, reason: str = "") -> None:
    ends = (Kind.PROMOTED, Kind.REVERTED)
    ports.journal.append(state.model, state.rollout_id, kind, data, author=author, reason=reason, token=state.token, unless=ends)


@contextmanager
def _promotion_stands(ports: Ports, state: Rollout) -> Iterator[None]:
    """Of two ends one is journaled: the traffic of what was promoted in this instant is not ours to cut."""
    try:
        yield
    except RefusedError:
        now = rollout(ports, state.model, state.rollout_id)
        _serve(ports, now)
        if now.open or now.outcome is Outcome.PROMOTED:
            raise


def _verified(ports: Ports, state: Rollout, route: Route | None) -> dict[str, object]:
    try:
        return verify(ports, state, route)
    except UnavailableError as e:
        name = f"rollout '{state.rollout_id}' of model '{state.model}'"
        raise UnfinishedError(f"{name} is cut, but the gateway does not confirm it ({e}): ask for the same again") from e


def _serve(ports: Ports, state: Rollout) -> None:
    """All traffic to the candidate when it is champion; the route of a newer rollout is left alone."""
    if champion_version(ports, state.model) != state.candidate:
        return
    route = ports.router.read(state.model)
    if route is None or route.token <= last_token(state):
        ports.router.apply(Route(state.model, target(ports, state.model, state.candidate), token=last_token(state)))


def _refuse_promotion(state: Rollout) -> None:
    name = f"rollout '{state.rollout_id}' of model '{state.model}'"
    if not state.open or state.cut_at is not None:
        raise RefusedError(f"{name} was cut or has ended: it cannot be promoted")
    if state.phase is Phase.OPENED:
        raise RefusedError(f"{name} is not deployed: it cannot be promoted")
    if len(state.records) != len(state.stages) or not all(r.passed for r in state.records):
        raise RefusedError(f"{name} has passed {sum(r.passed for r in state.records)} of {len(state.stages)} stages")
    if state.paused_at is not None:
        raise PausedError(f"{name} is paused: resume it first")


def _refuse_retirement(ports: Ports, state: Rollout, version: str) -> None:
    name = f"version {version} of model '{state.model}'"
    route = ports.router.read(state.model)
    if version == champion_version(ports, state.model):
        raise RefusedError(f"{name} is the champion: it cannot be retired")
    if route is not None and version in [t.version for t in (route.champion, route.candidate) if t is not None]:
        raise RefusedError(f"{name} still has a route: it cannot be retired")
    newest = status(ports, state.model)
    if newest is not None and newest.open and version in (newest.champion, newest.candidate):
        raise RefusedError(f"{name} is needed by rollout '{newest.rollout_id}': it cannot be retired before that has ended")


def _why_promoted(state: Rollout) -> str:
    return "first_version" if state.champion is None else "all_stages_passed"
