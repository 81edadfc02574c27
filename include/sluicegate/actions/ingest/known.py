"""What the outcomes of a rollout's answers add up to: the counting half of the evidence that `outcomes` writes beside each batch.

It needs the batches' outcomes alone, in any order, each once; where they lie is the reader's affair.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.domain.evidence import LabelCounters
from sluicegate.domain.pairing import APART_S
from sluicegate.domain.route import BUCKETS, bucket
from sluicegate.ports.meter import LabelWindow

EARLIER_S = 60.0
"""A batch that was there so long before the rollout began is not opened: it knows nothing of it."""
Array = NDArray[np.float64]


class KnownOutcomes:
    """Outcomes of what champion and candidate have answered in a rollout, to users and to copies."""

    def __init__(self, champion: str, candidate: str, window: LabelWindow) -> None:
        self._versions, self._window = (champion, candidate), window
        self._sums = np.zeros((3, 3, BUCKETS))
        """Champion, candidate, pairs; of each the count, the sum of losses (of their differences), and of squares."""
        self._newest: float | None = None

    def take(self, rows: pa.Table) -> None:
        """Add the outcomes of one batch (see `outcomes.OUTCOMES`)."""
        rows = rows.filter(pc.greater_equal(rows["received_at"], self._window.since))
        champion, candidate, copies = (
            self._said(rows, version, role)
            for version, role in zip((*self._versions, self._versions[1]), ("answer", "answer", "mirror"), strict=True)
        )
        self._sums[0] += _by_bucket(champion["user"], self._loss(champion))
        self._sums[1] += _by_bucket(candidate["user"], self._loss(candidate))
        self._take_pairs(champion, copies)
        known = pc.max(pa.chunked_array([*champion["known_at"].chunks, *candidate["known_at"].chunks], pa.float64())).as_py()
        if known is not None:
            self._newest = known if self._newest is None else max(self._newest, known)

    def counted(self, due: int) -> LabelCounters:
        """The counters so far; `due` is how many outcomes should be known by now."""
        counts: Any = dict(zip(("champion", "candidate", "pairs"), map(_whole, self._sums[:, 0]), strict=True))
        sums: Any = {
            f"{name}_{what}sum": tuple(row.tolist())
            for name, rows in zip(("champion_loss", "candidate_loss", "difference"), self._sums[:, 1:], strict=True)
            for what, row in zip(("", "square_"), rows, strict=True)
        }
        # started_at is none: what batches and logs hold is counted again by every fresh meter and so is never reset
        return LabelCounters(started_at=0.0, **counts, **sums, due=due, newest=self._newest)

    def _said(self, rows: pa.Table, version: str, role: str) -> pa.Table:
        return rows.filter(pc.and_(pc.equal(rows["version"], version), pc.equal(rows["role"], role)))

    def _take_pairs(self, champion: pa.Table, copies: pa.Table) -> None:
        place = pc.index_in(champion["request_id"], value_set=copies["request_id"].combine_chunks())
        both = pc.is_valid(place)
        champion, copies = champion.filter(both), copies.take(place.drop_null())
        near = pc.less_equal(pc.abs(pc.subtract(champion["received_at"], copies["received_at"])), APART_S)
        champion, copies = champion.filter(near), copies.filter(near)
        self._sums[2] += _by_bucket(champion["user"], self._loss(copies) - self._loss(champion))

    def _loss(self, rows: pa.Table) -> Array:
        if self._window.gate.loss == "wrong":
            return np.asarray(pc.cast(pc.xor(rows["decision"], rows["positive"]), pa.float64()).to_numpy())
        off = np.asarray(pc.subtract(rows["score"], rows["outcome"]).to_numpy())
        return off**2 if self._window.gate.loss == "squared" else np.abs(off)


def _whole(row: Array) -> tuple[int, ...]:
    return tuple(row.astype(np.int64).tolist())


def _by_bucket(users: pa.ChunkedArray, values: Array) -> Array:
    """Shape (3, BUCKETS): count, sum and sum of squares of one value a user."""
    places = np.fromiter((bucket(user) for user in users.to_pylist()), dtype=np.int64, count=len(users))
    weights = (np.ones(len(values)), values, values**2)
    return np.stack([np.bincount(places, weight, BUCKETS) for weight in weights])
