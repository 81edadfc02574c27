"""What one version has answered in one role, apart for each value of the request fields that the spec names as segments."""

from collections.abc import Mapping, Sequence
from typing import Any

from sluicegate.domain.evidence import SEGMENT_BUCKETS

MOST_VALUES = 32
"""Values of a field that are counted, those that came first. What comes after is in no segment: a rest would hold other values on
every server and could not be compared between two of them."""
MISSING = "(missing)"


class Segments:
    """Counts that only grow, by "field=value". A value is counted from its first request on, or never apart.

    Parameters
    ----------
    fields : request fields whose values are the segments.
    slow_bounds_ms : bounds against which slow requests are counted.
    """

    def __init__(self, fields: Sequence[str], slow_bounds_ms: Sequence[float]) -> None:
        self._bounds = slow_bounds_ms
        self._fields: list[tuple[str, dict[Any, _Segment]]] = [(name, {}) for name in fields]

    def answered(self, bucket: int, row: Mapping[str, Any], latency: float, *, error: bool, decision: bool) -> None:
        """One request, in the segment of each field; `bucket` is the user's evidence bucket, latency in seconds."""
        place = bucket % SEGMENT_BUCKETS
        for name, known in self._fields:
            value = row.get(name)
            if value not in known and len(known) < MOST_VALUES:
                known[value] = _Segment(self._bounds)
            if value in known:
                known[value].add(place, latency, error, decision)

    def to_dict(self) -> dict[str, Any]:
        """By "field=value", the fields of `domain.evidence.Segment`."""
        return {
            f"{name}={MISSING if value is None else value}": segment.to_dict()
            for name, known in self._fields
            for value, segment in tuple(known.items())
        }


class _Segment:
    def __init__(self, slow_bounds_ms: Sequence[float]) -> None:
        self._requests, self._errors, self._decisions = ([0] * SEGMENT_BUCKETS for _ in range(3))
        self._slow = [(bound / 1000, f"{bound:g}", [0] * SEGMENT_BUCKETS) for bound in slow_bounds_ms]

    def add(self, place: int, latency: float, error: bool, decision: bool) -> None:
        self._requests[place] += 1
        self._errors[place] += error
        self._decisions[place] += decision
        for bound, _, counts in self._slow:
            counts[place] += latency > bound

    def to_dict(self) -> dict[str, Any]:
        slow = {key: counts for _, key, counts in self._slow}
        return {"requests": self._requests, "errors": self._errors, "decisions": self._decisions, "slow": slow}
