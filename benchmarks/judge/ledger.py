"""What a world did, as the readings of a meter and as the points that a peer would query.

The counters of a reading are numpy arrays here, where a meter has tuples: the judge reads both alike (a test holds it to that), and
millions of looks need no tuples. All counters grow over the whole rollout, so the champion has a record when a stage begins.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from judge.world import BUSY_SPREAD, CPU_S, SEGMENTS, Array, Asked, Flags, Numbers, World
from sluicegate.domain.evidence import (
    SCORE_BINS,
    SEGMENT_BUCKETS,
    ArmCounters,
    GatewayCounters,
    LabelCounters,
    PairCounters,
    Reading,
    Segment,
)
from sluicegate.domain.route import BUCKETS

BOUND, BOUND_MS = "80", 80.0
"""The latency bound of the spec."""
LOOK_S = 60.0
"""Seconds in a look."""
LABEL_DELAY = 10
"""Looks until an outcome is known."""
CUT = 0.5
"""Decision threshold."""
ARM_ROWS = ("requests", "errors", "decisions", "score_sum", "score_square_sum", "slow", "value_sum", "value_square_sum")
ARM_ROWS += ("busy_sum", "cpu_sum")
MEMORY = 300e6
"""Bytes of both processes."""
KEYS = tuple(f"carrier={value}" for value in SEGMENTS)


class Ledger:
    """The growing counters of one rollout."""

    def __init__(self, world: World, mirrored: float) -> None:
        self._world, self._mirrored = world, mirrored
        self._totals: dict[str, Array] = {}
        self.rows: dict[str, Array] = {}
        """Running totals of the last record, (looks + 1, rows, width) by name."""

    def record(self, looks: int, weight: int) -> tuple[Iterator[Reading], Asked]:
        """The reading now, then one after every look at this weight (0 at a mirror); and the requests themselves."""
        began = self._world.now
        asked = self._world.ask(looks, weight / 100)
        rows = self._rows(asked, weight)
        self._totals |= {name: table[-1] for name, table in rows.items()}
        self.rows = rows
        return _readings(rows, began, mirror=weight == 0), asked

    def _rows(self, asked: Asked, weight: int) -> dict[str, Array]:
        """Running totals (looks + 1, rows, width) by name; only a mirror stage reads what mirrored requests cost."""
        copied = ~asked.mine & (self._world.random.random(len(asked.look)) < self._mirrored) & (weight != 100)
        rows: dict[str, Array] = {}
        for name, version, chosen in (("champion", 0, ~asked.mine), ("candidate", 1, asked.mine), ("mirror", 1, copied)):
            if name != "mirror" or weight == 0:
                rows |= self._arm(name, asked, version, chosen)
        rows["pairs"], rows["pair_bins"] = self._pairs(asked, copied)
        rows["labels"], rows["due"] = self._labels(asked, copied)
        return rows

    def _grown(self, name: str, looks: int, width: int, place: Numbers, columns: Sequence[Any]) -> Array:
        """Add up `columns` by place (look * width + cell), along the looks and on top of where the rollout stood."""
        table = np.empty((looks + 1, len(columns), width))
        table[0] = self._totals.get(name, 0.0)
        for row, column in enumerate(columns):
            table[1:, row] = np.bincount(place, column, looks * width).reshape(looks, width)
        for look in range(looks):
            table[look + 1] += table[look]
        return table

    def _arm(self, name: str, asked: Asked, version: int, chosen: Flags) -> dict[str, Array]:
        world, user = self._world, asked.user[chosen]
        look, bucket = asked.look[chosen], world.bucket[user]
        failed, score = asked.failed[version, chosen], asked.score[version, chosen]
        fine = ~failed
        positive = fine & (score >= CUT)
        late = asked.latency[version, chosen] > BOUND_MS
        value = np.where(fine & ~positive, asked.amount[chosen], 0.0)
        how = (world.champion, world.candidate)[version]
        cpu = how.cost * CPU_S * np.exp(BUSY_SPREAD * world.random.normal(size=len(look)))
        busy = asked.latency[version, chosen] / 1000
        columns = (None, failed, positive, fine * score, fine * score**2, late, value, value**2, busy, cpu)
        parts = f"{name}_segments"
        width = len(SEGMENTS) * SEGMENT_BUCKETS
        segment = look * width + world.segment[user] * SEGMENT_BUCKETS + bucket % SEGMENT_BUCKETS
        bins = look[fine] * SCORE_BINS + _bin(score[fine])
        return {
            name: self._grown(name, asked.looks, BUCKETS, look * BUCKETS + bucket, columns),
            parts: self._grown(parts, asked.looks, width, segment, (None, failed, positive, late)),
            f"{name}_bins": self._grown(f"{name}_bins", asked.looks, SCORE_BINS, bins, (None,)),
        }

    def _pairs(self, asked: Asked, copied: Flags) -> tuple[Array, Array]:
        look, bucket = asked.look[copied], self._world.bucket[asked.user[copied]]
        champion, candidate = asked.score[:, copied]
        off, on = champion >= CUT, candidate >= CUT
        gap = candidate - champion
        columns = (None, gap, gap**2, candidate, candidate**2, on, off, on & ~off, off & ~on)
        table = self._grown("pairs", asked.looks, BUCKETS, look * BUCKETS + bucket, columns)
        both = np.concatenate([look, look]) * (2 * SCORE_BINS) + np.concatenate([_bin(champion), SCORE_BINS + _bin(candidate)])
        return table, self._grown("pair_bins", asked.looks, 2 * SCORE_BINS, both, (None,))

    def _labels(self, asked: Asked, copied: Flags) -> tuple[Array, Array]:
        """Squared losses of the answers whose outcome is known, LABEL_DELAY looks later; and the answers that are due."""
        then = asked.look + LABEL_DELAY
        inside = then < asked.looks
        loss = (asked.score - asked.outcome) ** 2
        ripe = asked.known & inside
        place = then[ripe] * BUCKETS + self._world.bucket[asked.user[ripe]]
        columns = []
        for chosen, values in ((~asked.mine, loss[0]), (asked.mine, loss[1]), (copied, loss[1] - loss[0])):
            counts, value = chosen[ripe], np.where(chosen, values, 0.0)[ripe]
            columns += [counts, value, value**2]
        table = self._grown("labels", asked.looks, BUCKETS, place, columns)
        return table, self._grown("due", asked.looks, 1, then[inside], (None,))


def _bin(score: Array) -> Numbers:
    return np.minimum((score * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)


def _readings(rows: dict[str, Array], began: int, *, mirror: bool) -> Iterator[Reading]:
    names = ("champion", "candidate", "mirror") if mirror else ("champion", "candidate")
    gateway = np.concatenate([rows[arm][:, :2].sum(axis=-1) for arm in ("champion", "candidate")], axis=1).astype(np.int64)
    for t, counted in enumerate(gateway.tolist()):
        at = (began + t) * LOOK_S
        arms = {name: _arm_counters(rows, name, t) for name in names}
        yield Reading(
            at, pairs=_pair_counters(rows, t), gateway=GatewayCounters(0.0, *counted), labels=_label_counters(rows, t, at), **arms
        )


def _arm_counters(rows: dict[str, Array], name: str, t: int) -> Any:
    counted: Any = dict(zip(ARM_ROWS, rows[name][t], strict=True))
    counted["slow"] = {BOUND: counted["slow"]}
    split = rows[f"{name}_segments"][t].reshape(4, len(SEGMENTS), SEGMENT_BUCKETS)
    segments = {key: _segment(split[:, k]) for k, key in enumerate(KEYS)}
    spent = float(counted["cpu_sum"].sum()) + 0.01 * LOOK_S * t
    bins = rows[f"{name}_bins"][t, 0]
    return ArmCounters(0.0, **counted, score_histogram=bins, segments=segments, cpu_seconds=spent, memory_bytes=MEMORY)


def _segment(split: Any) -> Segment:
    return Segment(split[0], split[1], split[2], {BOUND: split[3]})


def _pair_counters(rows: dict[str, Array], t: int) -> PairCounters:
    bins: Any = rows["pair_bins"][t, 0]
    counted: Any = rows["pairs"][t]
    return PairCounters(0.0, *counted, bins[:SCORE_BINS], bins[SCORE_BINS:])


def _label_counters(rows: dict[str, Array], t: int, at: float) -> LabelCounters:
    counted: Any = rows["labels"][t]
    known = bool(counted[0].any() or counted[3].any())
    return LabelCounters(0.0, *counted, due=int(rows["due"][t, 0, 0]), newest=at if known else None)
