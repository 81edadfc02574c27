"""Committed batches become a candidate version, if the data changed and the candidate is proven.

    snapshot → changed → train → compare → register → publish

Starts when *ingest* committed something new, or by hand. Every long step is an order: a process of its own whose result is
kept under its content key, so that a run that was killed, cleared or started twice finds what is already done.

- **snapshot** freezes all committed rows as of now, or as of the time given by hand.
- **changed** ends the run, skipped, when the same data, spec and features were trained before.
- **train** fits on the past and keeps the newest data as holdout.
- **compare** scores candidate and champion on the same holdout: promote, neutral, reject or inconclusive.
- **register** keeps the version with everything it was made from; **publish** tells *release* if the verdict releases it.
"""

from airflow.sdk import DAG, Param

from sluicegate_airflow import retrain
from sluicegate_airflow.assets import batches, candidates
from sluicegate_airflow.discovery import about, valid_models
from sluicegate_airflow.tasks import order_task

AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    pattern=r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}",  # the format alone only chooses the widget: Airflow lets any text pass
    title="As of",
    description="Use only rows whose label was known at this time; empty takes all",
)

for spec in valid_models():
    with DAG(**about(spec, "retrain", __doc__), schedule=[batches(spec.model)], params={"as_of": AS_OF}):
        snapshot = order_task(spec.model, "snapshot", {"as_of": "{{ params.as_of or '' }}"}, doc_md="Freeze the committed rows.")
        changed = retrain.changed(spec.model, snapshot.output)
        train = order_task(spec.model, "train", {"snapshot": changed}, doc_md="Fit on the past, package the model.")
        made = {"snapshot": changed, "train": train.output}
        compare = order_task(spec.model, "compare", made, doc_md="Candidate against champion on the same holdout.")
        proven = {"train": train.output, "compare": compare.output}
        register = order_task(spec.model, "register", proven, doc_md="Keep the version and what it was made from.")
        outlet = candidates(spec.model)
        retrain.publish.override(outlets=[outlet])(outlet, register.output)
