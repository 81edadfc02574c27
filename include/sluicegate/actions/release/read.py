"""What the journal knows: where a rollout stands, who is champion, what a version was registered with."""

from collections.abc import Mapping
from typing import Any

from sluicegate.domain.rollout import Kind, Rollout, fold
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports

_STATE_KINDS = tuple(k for k in Kind if k is not Kind.EVIDENCE)


def rollout(ports: Ports, model: str, rollout_id: str) -> Rollout:
    """The rollout's present state; RefusedError when it was never opened."""
    events = ports.journal.events(model, rollout_id, kinds=_STATE_KINDS)
    state = fold(model, rollout_id, ((e.at, e.kind, e.data) for e in events))
    if state is None:
        raise RefusedError(f"model '{model}' has no rollout '{rollout_id}': see `python -m sluicegate history {model}`")
    return state


def status(ports: Ports, model: str) -> Rollout | None:
    """The newest rollout of the model, or None."""
    opened = ports.journal.events(model, kinds=(Kind.OPENED,))
    return rollout(ports, model, opened[-1].rollout) if opened else None


def champion_version(ports: Ports, model: str) -> str | None:
    """The version in service according to the journal, or None before the first promotion."""
    promoted = ports.journal.events(model, kinds=(Kind.PROMOTED,))
    return str(promoted[-1].data["candidate"]) if promoted else None


def registration(ports: Ports, model: str, version: str) -> Mapping[str, Any]:
    """What the version was registered with: verdict, release, predicted, keys; RefusedError when unknown."""
    known = {str(e.data["version"]): e.data for e in ports.journal.events(model, kinds=(Kind.REGISTERED,))}
    if version not in known:
        have = ", ".join(known) or "none"
        raise RefusedError(f"model '{model}' has no registered version '{version}' (registered: {have}): retrain first")
    return known[version]
