"""What the journal knows: where a rollout stands, who is champion, what a version was registered with."""

from collections.abc import Mapping
from typing import Any

from sluicegate.domain.rollout import Kind, Rollout, fold
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports

STATE_KINDS = tuple(k for k in Kind if k not in (Kind.EVIDENCE, Kind.REGISTERED))
"""Kinds of events that say where a rollout stands: all but the many readings."""


def rollout(ports: Ports, model: str, rollout_id: str) -> Rollout:
    """The rollout's present state; RefusedError when it was never opened."""
    return rollout_upto(ports, model, rollout_id)[0]


def rollout_upto(ports: Ports, model: str, rollout_id: str) -> tuple[Rollout, int]:
    """The rollout's present state, and the number of the newest event in it."""
    events = ports.journal.events(model, rollout_id, kinds=STATE_KINDS)
    state = fold(model, rollout_id, ((e.at, e.kind, e.data) for e in events))
    if state is None:
        raise RefusedError(f"model '{model}' has no rollout '{rollout_id}': see `python -m sluicegate history {model}`")
    return state, events[-1].number


def refuse_ended(state: Rollout) -> None:
    """Nothing is put into service for a rollout that has ended: RefusedError."""
    if not state.open:
        raise RefusedError(f"rollout '{state.rollout_id}' of model '{state.model}' has ended {state.outcome}: start a new one")


def status(ports: Ports, model: str, *, upto: float = float("inf")) -> Rollout | None:
    """The newest rollout of the model that was opened by then (seconds since the epoch), or None."""
    opened = [e for e in ports.journal.events(model, kinds=(Kind.OPENED,)) if e.at <= upto]
    return rollout(ports, model, opened[-1].rollout) if opened else None


def champion_version(ports: Ports, model: str) -> str | None:
    """The version in service according to the journal, or None before the first promotion."""
    return champion_since(ports, model)[0]


def champion_since(ports: Ports, model: str) -> tuple[str | None, int]:
    """The version in service and the number of the event that put it there: what fences older writers off."""
    changes = ports.journal.events(model, kinds=(Kind.PROMOTED, Kind.REINSTATED))
    if not changes:
        return None, 0
    last = changes[-1]
    return str(last.data["champion" if last.kind == Kind.REINSTATED else "candidate"]), last.number


def newer_candidate(ports: Ports, state: Rollout) -> str | None:
    """A version that was registered for release against the same champion after this rollout was opened, or None."""
    opened = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.OPENED,))[0]
    later = ports.journal.events(state.model, after=opened.number, kinds=(Kind.REGISTERED,))
    ready = [str(e.data["version"]) for e in later if e.data.get("release")]
    return next((version for version in ready if version != state.candidate), None)


def registration(ports: Ports, model: str, version: str) -> Mapping[str, Any]:
    """What the version was registered with: verdict, release, predicted, keys; RefusedError when unknown."""
    known = {str(e.data["version"]): e.data for e in ports.journal.events(model, kinds=(Kind.REGISTERED,))}
    if version not in known:
        have = ", ".join(known) or "none"
        raise RefusedError(f"model '{model}' has no registered version '{version}' (registered: {have}): retrain first")
    return known[version]
