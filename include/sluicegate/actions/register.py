"""The order `register`: the trained and compared package becomes a version in the registry, and the journal learns of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.domain.order import Order
from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import ModelSpec
from sluicegate.domain.verdict import OfflineVerdict
from sluicegate.errors import RefusedError
from sluicegate.ports import Ports
from sluicegate.ports.registry import Record, Registered

AUTHOR = "order:register"


def run_register(order: Order, ports: Ports, folder: Path) -> dict[str, Any]:
    """Register the package of a training with the verdict of its comparison.

    Every candidate is registered, also one that will not be released: its run shows why. The alias `candidate` moves only to a
    version that is released.

    Parameters
    ----------
    order
        Inputs `train_key`, `compare_key`.

    Returns
    -------
    dict
        version, verdict, reason, release, and predicted for the online judge.
    """
    train, compare = (_committed(ports, order.need(name), name) for name in ("train_key", "compare_key"))
    trained, compared = _result(train), _result(compare)
    tags = _tags(order, trained, compared)
    made = ports.registry.register(order.model, train / str(trained["package"]), tags, _record(train, trained, compare, compared))
    release = released(OfflineVerdict(compared["verdict"]), ports.spec(order.model))
    if release:
        ports.registry.alias(order.model, "candidate", made.version)
    answer = {
        "version": made.version,
        "verdict": compared["verdict"],
        "reason": compared["reason"],
        "message": compared["message"],
        "release": release,
        "predicted": compared["predicted"],
    }
    champion = json.loads((compare / "order.json").read_text())["inputs"]["champion_version"]
    traced = {"model_hash": trained["model_hash"], "snapshot_id": trained["snapshot_id"], "champion": champion}
    _journal(ports, order, made, answer | traced)
    return answer


def released(verdict: OfflineVerdict, spec: ModelSpec) -> bool:
    """Whether a candidate with this verdict is put on the way to users."""
    if verdict is OfflineVerdict.NEUTRAL:
        return spec.comparison.neutral == "release"
    return verdict in (OfflineVerdict.PROMOTE, OfflineVerdict.FIRST)


def _committed(ports: Ports, key: str, name: str) -> Path:
    found = ports.results.find(key)
    if found is None:
        raise RefusedError(f"{name} '{key}' has no committed result: carry out that order first")
    return found


def _result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def _tags(order: Order, trained: Mapping[str, Any], compared: Mapping[str, Any]) -> dict[str, str]:
    traced = {name: str(trained[name]) for name in ("model_hash", "snapshot_id", "code_digest")} | trained.get("built_from", {})
    keys = {name: str(order.need(name)) for name in ("train_key", "compare_key")}
    return {**traced, **keys, "verdict": str(compared["verdict"]), "reason": str(compared["reason"])}


def _record(train: Path, trained: Mapping[str, Any], compare: Path, compared: Mapping[str, Any]) -> Record:
    params = {"estimator": trained["estimator"], "device": trained["device"]["used"], **trained["params"]}
    split = {f"split.{name}": value for name, value in trained["split"].items()}
    gains = compared.get("numbers", {})
    shown = {f"gain.{name}": gains[name] for name in ("difference", "lower", "upper", "detectable") if name in gains}
    reports = {name: compare / name for name in ("report.html", "report.json")}
    plots = {f"plots/{path.name}": path for path in sorted((train / "plots").glob("*.svg"))}
    return Record(
        params={name: str(value) for name, value in (params | split).items()},
        metrics={**trained["metrics"], **shown},
        files={name: path for name, path in (plots | reports).items() if path.is_file()},
    )


def _journal(ports: Ports, order: Order, made: Registered, data: Mapping[str, Any]) -> None:
    """One event a comparison, however often the order is carried out."""
    known = ports.journal.events(order.model, kinds=(Kind.REGISTERED,))
    key = str(order.need("compare_key"))
    if any(e.data.get("compare_key") == key and e.data["version"] == made.version for e in known):
        return
    keys = {"train_key": str(order.need("train_key")), "compare_key": key}
    ports.journal.append(order.model, "", Kind.REGISTERED, {**data, **keys}, author=AUTHOR, reason=str(data["reason"]))
