"""Accepted labels beside what each version had answered to the request: the evidence that the online judge takes from labels.

It is made here, once a batch, because here labels have just been checked and the logs are read anyway; whoever watches a rollout
then reads the outcomes of new batches and nothing else. Of a request that is labelled again, the first accepted label counts.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.domain.spec import ModelSpec

OUTCOMES = pa.schema(
    {
        "request_id": pa.string(),
        "user": pa.string(),
        "version": pa.string(),
        "role": pa.string(),
        "received_at": pa.float64(),
        "score": pa.float64(),
        "decision": pa.bool_(),
        "outcome": pa.float64(),
        "positive": pa.bool_(),
        "known_at": pa.float64(),
    }
)
"""One row a logged answer. `outcome` is what the score should have been, `positive` what the decision should have been; times are
seconds since the epoch."""


def outcomes(accepted: pa.Table, logged: pa.Table, spec: ModelSpec) -> pa.Table:
    """The answers (users' and mirrored) of every version to the accepted requests; of one version and role the first one.

    Parameters
    ----------
    accepted : rows of accepted.parquet.
    logged : the prediction logs, as `requests.served` gives them.
    """
    name = f"asked.{spec.data.request_id}"
    found = logged.filter(pc.is_in(logged[name], value_set=accepted["request_id"].combine_chunks()))
    found = _first_each(found, name)
    place = pc.index_in(found[name], value_set=accepted["request_id"].combine_chunks())
    label = accepted["label"].take(place)
    above = spec.data.label.above
    outcome = label if above is None else pc.cast(pc.greater(label, above), pa.float64())
    positive = pc.greater_equal(label, spec.threshold) if spec.task == "regression" else pc.greater(outcome, 0.5)
    known_at = pc.divide(pc.cast(pc.cast(accepted["known_at"].take(place), pa.int64()), pa.float64()), 1e6)
    told = {n: found[n] for n in ("user", "version", "role", "received_at", "score", "decision")}
    columns = {"request_id": found[name], **told, "outcome": outcome, "positive": positive, "known_at": known_at}
    return pa.table({n: columns[n] for n in OUTCOMES.names}).cast(OUTCOMES)


def _first_each(found: pa.Table, request: str) -> pa.Table:
    """Of several lines of one version, role and request, which a client that asks twice makes, the one received first."""
    found = found.filter(pc.is_valid(found["score"]))
    order = np.argsort(pc.fill_null(found["received_at"], np.inf).to_numpy(), kind="stable")
    found = found.take(pa.array(order))
    keys = found.select([request, "version", "role"]).append_column("place", pa.array(np.arange(found.num_rows)))
    first = keys.group_by([request, "version", "role"], use_threads=False).aggregate([("place", "min")])["place_min"]
    return found.take(first.combine_chunks())
