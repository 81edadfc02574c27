"""The light tasks of ingest: take what landed, report what was set aside, commit, tell retrain."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset, TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from sluicegate.errors import RefusedError
from sluicegate.wiring import wire
from sluicegate_airflow.assets import tell
from sluicegate_airflow.errors import told

log = logging.getLogger(__name__)
COUNTS = ("in", "accepted", "quarantined", "duplicate")
Batch = dict[str, str]


@task
def land(model: str, only: str | None = None) -> list[Batch]:
    """Take what landed and name every batch that is not committed yet; with nothing to do the run ends at once."""
    from sluicegate.actions.land import land as take  # brings pyarrow: not while parsing

    with told():
        batches = take(model, wire(), only or "*")
    if not batches:
        raise AirflowSkipException(f"nothing new is waiting in landing/{model}")
    for batch in batches:
        log.info("batch %s is %s", batch["batch_id"], batch["name"])
    return batches


@task
def quarantine(checked: Mapping[str, Any]) -> Mapping[str, int]:
    """Say aloud what was set aside and why; the rows themselves are in quarantined.parquet of the batch."""
    reasons: Mapping[str, int] = checked.get("reasons") or {}
    for code, rows in sorted(reasons.items(), key=lambda item: -item[1]):
        log.warning("batch %s: %d rows set aside: %s", checked["batch_id"], rows, code)
    if checked.get("blocked"):
        log.warning("batch %s is blocked as a whole: %s", checked["batch_id"], checked.get("message", ""))
    return reasons


@task
def commit(model: str, checked: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the checked batch; a batch that was committed before, by whichever run, is not new."""
    from sluicegate.actions.land import commit as publish_batch

    with told():
        ports = wire()
        folder = ports.results.find(checked["key"])
        if folder is None:
            raise RefusedError(f"batch {checked['batch_id']} has no checked result {checked['key']}: clear its task 'validate'")
        new = publish_batch(model, checked["batch_id"], folder, ports)
    log.info("batch %s %s: %s", checked["batch_id"], "committed" if new else "was committed before", _counts(checked))
    return {"batch_id": checked["batch_id"], "new": new, "blocked": bool(checked.get("blocked")), "rows": checked["rows"]}


@task(trigger_rule=TriggerRule.ALL_DONE)
def publish(asset: Asset, committed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Tell retrain once for all batches of this run, also when one of them failed; tell nothing when nothing is new."""
    new = [c for c in _each(committed) if c["new"] and not c["blocked"] and c["rows"]["accepted"]]
    if not new:
        raise AirflowSkipException("no new rows were accepted: retrain has nothing to do")
    return tell(asset, {"batches": [c["batch_id"] for c in new], "rows": sum(c["rows"]["accepted"] for c in new)})


@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def account(committed: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Add up: rows in = accepted + quarantined + duplicates. Fails the run when a batch could not be committed."""
    batches = _each(committed)
    total = {name: sum(int(c["rows"][name]) for c in batches) for name in COUNTS}
    log.info("%d batches: %s", len(batches), total)
    with told():
        if total["in"] != total["accepted"] + total["quarantined"] + total["duplicate"]:
            raise RefusedError(f"rows do not add up: {total}: a row was lost or counted twice")
    return total


def _each(committed: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """What every batch of the mapped group returned: Airflow hands over a group of one as its only value, not as a list."""
    return [committed] if isinstance(committed, Mapping) else list(committed or ())


def _counts(checked: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {checked['rows'][name]}" for name in COUNTS)
