"""What makes a holdout flatter one of the models without any test noticing: copies, another prevalence, outcomes nobody ever learns."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluicegate.actions.comparison.paired import Vector
from sluicegate.actions.holdout.labelled import Labelled, Mask
from sluicegate.actions.holdout.split import Split
from sluicegate.actions.ingest.fields import seconds, typed
from sluicegate.actions.ingest.requests import Source, sources
from sluicegate.domain.spec import ModelSpec
from sluicegate.ports import RequestLogs


def repeated(rows: Labelled, split: Split, spec: ModelSpec) -> int:
    """Holdout rows whose user, inputs and label all stand in a row that the candidate was trained on: learned by heart, perhaps."""
    fields = [rows.columns[name] for name in (spec.data.user_id, *spec.data.inputs)]
    prints = np.fromiter(map(hash, zip(*fields, rows.y.tolist(), strict=True)), dtype=np.int64, count=len(rows))
    return int(np.isin(prints[split.holdout], prints[split.train]).sum())


def prevalence(rows: Labelled, where: Mask) -> float:
    """Mean label: the share of positives, or the mean of what was measured."""
    return float(rows.y[where].mean())


def censored(requests: RequestLogs, holdout: Labelled, spec: ModelSpec) -> dict[str, Any] | None:
    """Requests of the holdout's time that have no label, and how they were decided; None where no request was logged.

    Some labels are only late. Others never come, because of what the champion decided (a refused payment is never paid back): then
    `comparison.weight` says how many rows a labelled one stands for.
    """
    logs = [_asked(source, holdout, spec) for source in sources(requests, spec.model, spec.data)]
    if not sum(len(ids) for ids, _ in logs):
        return None
    ids = pa.concat_arrays([each for each, _ in logs])
    _, first = np.unique(ids.dictionary_encode().indices.to_numpy(), return_index=True)  # answered and mirrored is asked once
    without = ~pc.is_in(ids.take(pa.array(first)), value_set=pa.array(holdout.request_id.tolist())).to_numpy(zero_copy_only=False)
    positive = np.concatenate([scores for _, scores in logs])[first] >= spec.threshold
    return {
        "asked": first.size,
        "unlabelled": int(without.sum()),
        "share": float(without.mean()),
        "unlabelled_positive": int((without & positive).sum()),
    }


def _asked(source: Source, holdout: Labelled, spec: ModelSpec) -> tuple[pa.Array, Vector]:
    """Ids and scores (NaN where nobody of ours answered) of the requests of the holdout's time."""
    times = seconds(typed(source.columns[spec.data.event_time], "timestamp").values)
    inside = pa.array((times >= holdout.event_time.min()) & (times <= holdout.event_time.max()))
    scores = source.columns["score"].filter(inside).cast(pa.float64())
    return source.ids.filter(inside).cast(pa.string()), np.asarray(scores.to_numpy(), dtype=np.float64)
