"""The assets that chain the Dags of a model: landing → batches → candidates."""

import logging
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, get_current_context

from sluicegate.domain.spec import ModelSpec
from sluicegate_airflow.arrival import LandingTrigger

log = logging.getLogger(__name__)


def landing(model: str) -> Asset:
    """Files that producers dropped; the watcher fires when one has arrived whole."""
    watcher = AssetWatcher(name=f"{model}_landing", trigger=LandingTrigger(model=model))
    return Asset(f"{model}_landing", uri=f"sluicegate://{model}/landing", group="sluicegate", watchers=[watcher])


def batches(model: str) -> Asset:
    """Committed batches of labelled rows."""
    return Asset(f"{model}_batches", uri=f"sluicegate://{model}/batches", group="sluicegate")


def candidates(model: str) -> Asset:
    """Registered versions that the offline comparison released; the event's extra names the version."""
    return Asset(f"{model}_candidates", uri=f"sluicegate://{model}/candidates", group="sluicegate")


def arrival_or_cron(spec: ModelSpec) -> Any:
    """Schedule of ingest as the spec says: cron, arrival, either, or by hand only (None)."""
    cron = CronTriggerTimetable(spec.schedule.cron, timezone="UTC") if spec.schedule.cron else None
    if cron is None:
        return [landing(spec.model)] if spec.schedule.arrival else None
    return AssetOrTimeSchedule(timetable=cron, assets=[landing(spec.model)]) if spec.schedule.arrival else cron


def tell(asset: Asset, extra: dict[str, Any]) -> dict[str, Any]:
    """Inside a task that has the asset as its outlet: what the event says to the Dag that follows."""
    get_current_context()["outlet_events"][asset].extra = extra
    log.info("told %s: %s", asset.uri, extra)
    return extra
