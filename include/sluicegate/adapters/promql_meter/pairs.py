"""The pairs, from the table of the joiner."""

from dataclasses import fields, replace
from typing import Any

from sluicegate.adapters.promql_meter.table import Key, Table, check_targets
from sluicegate.domain.evidence import SCORE_BINS, PairCounters
from sluicegate.domain.route import BUCKETS
from sluicegate.errors import UnavailableError

ROLE = "pairs"
ROWS = tuple(f.name for f in fields(PairCounters) if f.name != "started_at")
UNREAD = ("unread_champion", "unread_candidate")
HISTOGRAMS = ("champion_histogram", "candidate_histogram")
SUMS = ("difference_sum", "difference_square_sum", "candidate_score_sum", "candidate_score_square_sum")


def pairs(table: Table) -> PairCounters:
    """What the joiner has paired; before the first pair all is zero. UnavailableError when nobody pairs, or not from all pods."""
    check_targets(table)
    if len(table.processes) != 1:
        raise UnavailableError(f"{len(table.processes)} processes pair the same answers: run one `python -m sluicegate join`")
    if not table.facts.keys() >= set(UNREAD):
        raise UnavailableError("the joiner does not know both versions yet")
    if silent := sum(max(table.each(fact)) for fact in UNREAD):
        raise UnavailableError(f"the joiner cannot read the newest answers of {silent:.0f} pods")
    nothing = PairCounters(table.began_at(), **{name: _zero(name) for name in ROWS})
    if not table.rows:
        return nothing
    counted: Any = {name: (table.row if name in SUMS else table.counts)(Key(ROLE, name), len(_zero(name))) for name in ROWS}
    return replace(nothing, **counted)


def _zero(name: str) -> Any:
    return (0,) * (SCORE_BINS if name in HISTOGRAMS else BUCKETS)
