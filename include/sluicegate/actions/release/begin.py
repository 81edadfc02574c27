"""The first two verbs of a rollout: take the model's lock and write down the plan; put the candidate beside the champion."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sluicegate.actions.release.capacity import provide_all_traffic, server, wait_ready
from sluicegate.actions.release.read import champion_version, refuse_ended, registration, rollout
from sluicegate.domain.order import content_key
from sluicegate.domain.rollout import Kind, Rollout
from sluicegate.domain.route import Target
from sluicegate.errors import RefusedError
from sluicegate.ports import Lock, Ports


def open_rollout(ports: Ports, model: str, version: str, *, author: str, run_id: str) -> Rollout:
    """Take the lock of the model and journal the plan; the same run_id opens the same rollout again.

    Raises
    ------
    LockedError
        Another rollout holds the model.
    RefusedError
        The version is unknown, is champion already, or the offline comparison did not release it.
    """
    rollout_id = content_key({"model": model, "version": version, "run": run_id})[:12]
    if ports.journal.events(model, rollout_id, kinds=(Kind.OPENED,)):
        return rollout(ports, model, rollout_id)
    known, champion = _releasable(ports, model, version)
    spec = ports.spec(model)  # before the lock: a spec that is refused now must not leave the model locked
    lock = ports.journal.acquire(model, rollout_id)
    plan = {
        "candidate": version,
        "champion": champion,
        "token": lock.token,
        "release": spec.release.model_dump(mode="json"),
        "serving": spec.serving.model_dump(mode="json"),
        "score_range": list(spec.score_range),
        "predicted": known.get("predicted"),
    }
    try:
        _refuse_new_champion(ports, model, champion)
        ports.journal.append(model, rollout_id, Kind.OPENED, plan, author=author, token=lock.token, unless=(Kind.OPENED,))
    except RefusedError:
        if not _opened_by_another(ports, model, rollout_id, lock):
            raise
    return rollout(ports, model, rollout_id)


def _releasable(ports: Ports, model: str, version: str) -> tuple[Mapping[str, Any], str | None]:
    """What the version was registered with, and the champion that it was compared with; RefusedError when it may not be released."""
    known = registration(ports, model, version)
    champion = champion_version(ports, model)
    if version == champion:
        raise RefusedError(f"version {version} of model '{model}' is the champion already")
    if not known["release"]:
        raise RefusedError(
            f"version {version} of model '{model}' was not released by the comparison ({known['verdict']}): retrain"
        )
    compared = known.get("champion", champion)
    if compared != champion:
        raise RefusedError(
            f"version {version} of model '{model}' was compared with version {compared}, but the champion is {champion} now: retrain"
        )
    return known, champion


def _refuse_new_champion(ports: Ports, model: str, champion: str | None) -> None:
    """Under the lock the champion stays; until then it may have changed."""
    now = champion_version(ports, model)
    if now != champion:
        raise RefusedError(
            f"the champion of model '{model}' became version {now} in this instant, it was {champion}: start again"
        )


def _opened_by_another(ports: Ports, model: str, rollout_id: str, lock: Lock) -> bool:
    """Give the lock back unless the rollout was opened under this very token; whether somebody has opened it at all."""
    opened = ports.journal.events(model, rollout_id, kinds=(Kind.OPENED,))
    if not opened or opened[-1].data["token"] != lock.token:
        ports.journal.release(model, lock.token)
    return bool(opened)


def deploy(ports: Ports, model: str, rollout_id: str, *, author: str) -> Rollout:
    """Start the candidate's server, and the champion's if it does not run, and wait until both pass deep health.

    Raises PackageError when a server does not reproduce its golden outputs in time: a broken artefact never gets traffic.
    """
    state = rollout(ports, model, rollout_id)
    refuse_ended(state)
    versions = [v for v in (state.champion, state.candidate) if v is not None]
    for version in versions:
        ports.runtime.start(model, version, _package(ports, model, version))
    needed = dict.fromkeys(versions, 1) | {versions[0]: provide_all_traffic(ports, state, versions[0])}
    targets = [wait_ready(ports, state, version, needed[version]).target for version in versions]
    data = {"targets": {t.version: t.address for t in targets}}
    ports.journal.append(model, rollout_id, Kind.DEPLOYED, data, author=author, token=state.token)
    return rollout(ports, model, rollout_id)


def give_back_lock(ports: Ports, state: Rollout, *, unless: Sequence[Kind] = ()) -> None:
    """The rollout's lock: its first one, or a later one that somebody who was killed has left; not once it has such an event."""
    lock = ports.journal.locks().get(state.model)
    mine = lock is not None and lock.holder == state.rollout_id
    ports.journal.release(state.model, lock.token if lock is not None and mine else state.token, unless=unless)


def target(ports: Ports, model: str, version: str) -> Target:
    """Where the version's server listens; RefusedError when it is not deployed."""
    found = server(ports, model, version)
    if found is None:
        raise RefusedError(f"version {version} of model '{model}' has no server: deploy it first")
    return found.target


def _package(ports: Ports, model: str, version: str) -> Path:
    return ports.registry.package(model, version)
