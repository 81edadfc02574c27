"""Files that landed become committed batches.

    land → batch[ validate → quarantine → commit ] for each file → publish → account

Starts by cron, when a file arrives (the asset *landing* watches the folder), or by hand. A file is taken exactly once
whichever of them fires: its identity is the digest of its bytes, and committing it again changes nothing.

- **land** takes every waiting file to its immutable place; with nothing waiting the run ends here, skipped.
- **validate** joins labels with logged requests and checks every row (an order: a process of its own).
- **quarantine** says how many rows were set aside and why; a critical finding blocks the whole batch.
- **commit** publishes the batch; **publish** tells *retrain* once for all new batches.
- **account** adds up: rows in = accepted + quarantined + duplicates.
"""

from airflow.sdk import DAG, Param, task_group

from sluicegate_airflow import ingest
from sluicegate_airflow.assets import arrival_or_cron, batches
from sluicegate_airflow.discovery import about, valid_models
from sluicegate_airflow.tasks import order_task

ONLY = Param(
    None,
    type=["null", "string"],
    title="Only these files",
    description="Take only matching names, e.g. labels-2013-*.csv",
)


def batch_group(model: str):
    """The tasks of one batch; mapped over the files that landed."""

    @task_group(group_id="batch", tooltip="One landed file: check, set aside, commit")
    def batch(batch):
        checked = order_task(model, "validate", {"batch": batch}, doc_md="Join with logged requests, check every row.").output
        committed = ingest.commit(model, checked)
        ingest.quarantine(checked) >> committed
        return committed

    return batch


for spec in valid_models():
    with DAG(**about(spec, "ingest", __doc__), schedule=arrival_or_cron(spec), params={"only": ONLY}):
        landed = ingest.land(spec.model, "{{ params.only or '' }}")
        committed = batch_group(spec.model).expand(batch=landed)
        outlet = batches(spec.model)
        ingest.publish.override(outlets=[outlet])(outlet, committed)
        ingest.account(committed)
