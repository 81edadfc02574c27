"""The light tasks of retrain: is there anything to train on, and is the result to be released?"""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, task
from airflow.sdk.exceptions import AirflowSkipException

from sluicegate.domain.order import Order
from sluicegate.domain.rollout import Kind
from sluicegate.wiring import wire
from sluicegate_airflow.assets import tell
from sluicegate_airflow.errors import told
from sluicegate_airflow.inputs import train_inputs

log = logging.getLogger(__name__)


@task
def changed(model: str, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Skip what follows when the same data, spec, features and seed were trained and compared with this champion before."""
    from sluicegate.actions.release import champion_version

    with told():
        ports = wire()
        key = Order("train", model, train_inputs(ports, model, {"snapshot": snapshot})).key
        champion = champion_version(ports, model)
        registered = [e.data for e in ports.journal.events(model, kinds=(Kind.REGISTERED,)) if e.data.get("train_key") == key]
        known = [data for data in registered if champion in (data.get("champion", champion), data["version"])]
    if known:
        raise AirflowSkipException(f"nothing changed: version {known[-1]['version']} was trained from exactly this (key {key})")
    return {"snapshot_id": snapshot["snapshot_id"], "train_key": key}


@task
def publish(asset: Asset, registered: Mapping[str, Any]) -> dict[str, Any]:
    """Tell release about the version when the offline comparison released it."""
    version, verdict = registered["version"], registered["verdict"]
    if not registered["release"]:
        raise AirflowSkipException(f"version {version} is not released: the comparison says {verdict}")
    return tell(asset, {"version": version, "verdict": verdict})
