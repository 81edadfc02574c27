"""What Airflow asks for, in a run of the release Dag or for a person.

One verb by its name, in this process or, as the order `release`, in one of its own.
"""

from pathlib import Path
from typing import Any

from sluicegate.actions.release.abandoned import finish
from sluicegate.actions.release.begin import deploy, open_rollout
from sluicegate.actions.release.end import RETENTION_OVER, abort, promote, retire, revert
from sluicegate.actions.release.read import rollout
from sluicegate.actions.release.reinstate import reinstate, take_back
from sluicegate.actions.release.stage import enter_stage
from sluicegate.domain.order import Order
from sluicegate.domain.rollout import Kind, Outcome, Phase, Rollout
from sluicegate.errors import LockedError, OrderError
from sluicegate.ports import Ports

FACTS = ("rollout_id", "candidate", "champion", "reason", "message")
BY_HAND = {"abort": abort, "take_back": take_back, "reinstate": reinstate}
"""What only a person asks for, with a reason."""
VERBS = ("open", "deploy", "enter_stage", "promote", "revert", "retire", *BY_HAND)


def ask(ports: Ports, model: str, verb: str, *, author: str, **given: Any) -> Rollout:
    """Carry out the verb and return where the rollout stands then.

    Parameters
    ----------
    given :
        `version` and `run_id` for open; `rollout_id` for the others, `index` of the stage for enter_stage, and the
        `reason` of a person for abort, take_back, reinstate and retire.
    """
    if verb == "open":
        return _open(ports, model, given["version"], author=author, run_id=given["run_id"])
    rollout_id = given["rollout_id"]
    if verb == "enter_stage":
        return enter_stage(ports, model, rollout_id, given["index"], author=author)
    if verb == "revert":
        return _take_back(ports, model, rollout_id, author=author)
    if verb in BY_HAND:
        return BY_HAND[verb](ports, model, rollout_id, author=author, reason=given["reason"])
    if verb == "retire":
        return retire(ports, model, rollout_id, author=author, reason=given.get("reason", RETENTION_OVER))
    simple = {"deploy": deploy, "promote": promote}
    if verb not in simple:
        raise OrderError(f"unknown verb '{verb}' for model '{model}': a release consists of {', '.join(VERBS)}")
    return simple[verb](ports, model, rollout_id, author=author)


def run_release(order: Order, ports: Ports, _: Path) -> dict[str, Any]:
    """The order `release`: inputs `verb`, `author`, what `ask` needs besides, and `attempt`, for a verb is asked for at every try."""
    given = {name: value for name, value in order.inputs.items() if name not in ("verb", "author", "attempt")}
    try:
        return facts(ask(ports, order.model, order.need("verb"), author=order.need("author"), **given))
    except KeyError as e:
        raise OrderError(f"the order '{order.inputs['verb']}' of model '{order.model}' lacks the input {e}") from e


def facts(state: Rollout) -> dict[str, Any]:
    """What other tasks and people read of a rollout."""
    return {
        "phase": str(state.phase),
        "outcome": state.outcome and str(state.outcome),
        **{fact: getattr(state, fact) for fact in FACTS},
    }


def _open(ports: Ports, model: str, version: str, *, author: str, run_id: str) -> Rollout:
    """Take the model's lock for the version, if need be from an earlier run of the same Dag that holds it no more."""
    who = {"author": author, "run_id": run_id}
    try:
        return open_rollout(ports, model, version, **who)
    except LockedError:
        if not end_abandoned(ports, model, author):
            raise
    return open_rollout(ports, model, version, **who)


def end_abandoned(ports: Ports, model: str, mine: str) -> bool:
    """End what an earlier run of the same Dag left holding the lock (its process was killed, or a person ended the run).

    One run of the Dag is active at a time, so the holder's run is over. False when somebody else holds the lock.
    """
    lock = ports.journal.locks().get(model)
    if lock is None:
        return True
    opened = ports.journal.events(model, lock.holder, kinds=(Kind.OPENED,))
    if opened and opened[0].author != mine:
        return False
    finish(ports, lock, author=mine)
    return True


def _take_back(ports: Ports, model: str, rollout_id: str, *, author: str) -> Rollout:
    """Take the candidate back unless it was promoted; then finish what a failed promotion left undone."""
    state = rollout(ports, model, rollout_id)
    if state.outcome is Outcome.PROMOTED:
        return promote(ports, model, rollout_id, author=author)
    reason = state.reason if state.phase is Phase.FAILED else "task_failed"
    return revert(ports, model, rollout_id, author=author, reason=reason)
