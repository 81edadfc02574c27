"""Reads the growing counters of a rollout."""

from typing import Protocol

from sluicegate.domain.evidence import Reading
from sluicegate.domain.route import Route


class Meter(Protocol):
    def read(self, route: Route, *, since: float) -> Reading:
        """All counters of the route's versions now. Pairs are counted for requests answered after `since` (epoch seconds).

        What cannot be read is None with its reason in `missing`; never raises for an outage, never answers zero for it.
        """
        ...
