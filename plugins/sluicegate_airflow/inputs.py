"""What goes into each order: read from the world when the task runs; the same world gives the same content key."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from sluicegate.domain.rollout import Kind
from sluicegate.ports import Ports

Given = Mapping[str, Any]
Inputs = dict[str, Any]


def _validate(_: Ports, __: str, given: Given) -> Inputs:
    return {"batch_id": given["batch"]["batch_id"], "name": given["batch"]["name"]}


def _snapshot(ports: Ports, model: str, given: Given) -> Inputs:
    return {"as_of": given["as_of"] or None, "batches": sorted(r["batch_id"] for r in ports.dataset.batches(model))}


def train_inputs(ports: Ports, model: str, given: Given) -> Inputs:
    """What a training depends on, and nothing else: data, spec, features, seed."""
    folder = ports.settings.models / model
    return {
        "snapshot_id": given["snapshot"]["snapshot_id"],
        "spec_digest": _digest(folder / "spec.yaml"),
        "features_digest": _digest(folder / "features.py"),
        "seed": ports.spec(model).training.seed,
    }


def _compare(ports: Ports, model: str, given: Given) -> Inputs:
    from sluicegate.actions.comparison.looks import look_number  # these bring the judge's libraries: not while parsing
    from sluicegate.actions.release import champion_version

    champion, train_key = champion_version(ports, model), given["train"]["key"]
    registered = (e.data for e in ports.journal.events(model, kinds=(Kind.REGISTERED,)))
    return {
        "train_key": train_key,
        "snapshot_id": given["snapshot"]["snapshot_id"],
        "champion_version": champion,
        "look": look_number(registered, champion, train_key),
    }


def _register(_: Ports, __: str, given: Given) -> Inputs:
    return {"train_key": given["train"]["key"], "compare_key": given["compare"]["key"]}


def _digest(path: Any) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


INPUTS: dict[str, Callable[[Ports, str, Given], Inputs]] = {
    "validate": _validate,
    "snapshot": _snapshot,
    "train": train_inputs,
    "compare": _compare,
    "register": _register,
}
