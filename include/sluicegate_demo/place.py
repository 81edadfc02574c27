"""Where the story is told: on this machine alone, or with everything but Airflow in a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sluicegate.settings import Settings


@dataclass(frozen=True)
class Pace:
    """How fast things go there."""

    july: float
    """Requests a second at which July is replayed, at most; one client process cannot send more than it gets answered."""
    live: float
    """Requests a second of the live traffic during the rollouts."""
    patience: float = 1.0
    """How many times as long as on this machine alone an act may take."""


@dataclass(frozen=True)
class Place:
    """A world that is prepared and not started."""

    settings: Settings
    gateway: str
    """Where users ask."""
    pace: Pace
    stop: str
    """The command that ends it all."""
    started: str
    """What `up` starts, for people."""
    beside: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """Programs that run beside the stack, under its supervisor: name → command."""
    pod_log: Path | None = None
    """Where what became of every pod is written, as it happens; None where there are none."""
