"""What one version answered, from the table of its pods: sums over all of them."""

from dataclasses import dataclass
from typing import Any

from sluicegate.adapters.promql_meter.table import Key, Table, check_targets
from sluicegate.domain.evidence import SCORE_BINS, SEGMENT_BUCKETS, ArmCounters, Segment
from sluicegate.domain.route import BUCKETS
from sluicegate.errors import UnavailableError

COUNTS = ("requests", "errors", "decisions")
SUMS = ("score_sum", "score_square_sum")
LATER_SUMS = ("value_sum", "value_square_sum", "busy_sum", "cpu_sum")
"""Rows that a server may not count; they count only when every pod does."""


@dataclass(frozen=True)
class Arms:
    """What one version told."""

    answer: ArmCounters
    mirror: ArmCounters


def arms(table: Table) -> Arms:
    """The arms of one version; UnavailableError when the table does not have them whole."""
    check_targets(table)
    if table.told.get(Key("answer", "requests")) != len(table.processes):
        raise UnavailableError(f"{len(table.processes)} pods say what they are and not all of them what they counted")
    answer = _arm(table, "answer")
    return Arms(answer, _arm(table, "mirror") if Key("mirror", "requests") in table.told else _nothing(answer))


def _arm(table: Table, role: str) -> ArmCounters:
    pods = table.told[Key(role, "requests")]
    bounds = [key.bound for key, count in table.told.items() if key[:2] == (role, "slow") and count == pods]
    for name in (*COUNTS, *SUMS, "score_histogram"):
        if table.told.get(Key(role, name)) != pods:
            raise UnavailableError(f"{role} {name} is not told by all of {pods} pods")
    counted: dict[str, Any] = {name: table.counts(Key(role, name), BUCKETS) for name in COUNTS}
    counted |= {name: table.row(Key(role, name), BUCKETS) for name in SUMS}
    later = [name for name in LATER_SUMS if table.told.get(Key(role, name)) == pods]
    counted |= {name: table.row(Key(role, name), BUCKETS) for name in later}
    return ArmCounters(
        started_at=table.began_at(),
        **counted,
        slow={bound: table.counts(Key(role, "slow", bound), BUCKETS) for bound in bounds},
        score_histogram=table.counts(Key(role, "score_histogram"), SCORE_BINS),
        segments={name: _segment(table, role, name) for name in sorted({k.segment for k in table.rows if k.role == role} - {""})},
        cpu_seconds=sum(table.each("cpu_seconds")),
        memory_bytes=max(table.each("memory_bytes")) if "memory_bytes" in table.facts else None,  # of the pod that needs most
    )


def _segment(table: Table, role: str, name: str) -> Segment:
    bounds = [key.bound for key in table.rows if key.role == role and key.segment == name and key.row == "slow"]
    requests, errors, decisions = (table.counts(Key(role, row, "", name), SEGMENT_BUCKETS) for row in COUNTS)
    slow = {bound: table.counts(Key(role, "slow", bound, name), SEGMENT_BUCKETS) for bound in bounds}
    return Segment(requests, errors, decisions, slow)


def _nothing(like: ArmCounters) -> ArmCounters:
    """A role that no pod has told yet: all is zero, and the pods are there to say so."""
    zero: Any = (0,) * BUCKETS
    rows: Any = {name: zero if getattr(like, name) else () for name in (*COUNTS, *SUMS, *LATER_SUMS)}
    return ArmCounters(
        started_at=like.started_at,
        **rows,
        slow=dict.fromkeys(like.slow, zero),
        score_histogram=(0,) * SCORE_BINS,
        cpu_seconds=like.cpu_seconds,
        memory_bytes=like.memory_bytes,
    )
