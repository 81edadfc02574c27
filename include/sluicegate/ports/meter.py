"""Reads the growing counters of a rollout."""

from dataclasses import dataclass
from typing import Protocol

from sluicegate.domain.evidence import Reading
from sluicegate.domain.gate_spec import LabelsGate
from sluicegate.domain.route import Route


@dataclass(frozen=True)
class LabelWindow:
    """Which outcomes count."""

    gate: LabelsGate
    """The rollout's own: which loss, and after how long an outcome is late."""
    since: float
    """Answers received from then on: the rollout's start, seconds since the epoch. Labels come late, long after their stage."""


class Meter(Protocol):
    def read(self, route: Route, *, since: float, labels: LabelWindow | None = None) -> Reading:
        """All counters of the route's versions now. Pairs are counted for requests answered after `since` (epoch seconds).

        Outcomes are counted when `labels` says which. What cannot be read is None with its reason in `missing`; never raises for
        an outage, never answers zero for it.
        """
        ...
