"""What was seen from outside: plain facts, written as they happened. The invariants are judged on these and nothing else."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as its client saw it; status 0 when there was no answer, and `why`."""

    lane: str
    user: str
    sent: float
    done: float
    status: int
    version: str = ""
    arm: str = ""
    """Which server the gateway says it asked: champion or candidate."""
    why: str = ""
    id: str = ""

    @property
    def failed(self) -> bool:
        return self.status != 200


@dataclass(frozen=True)
class Shown:
    """What the gateway had from `at` on, as it said itself. `requests` counts what it gave the candidate since its start."""

    at: float
    lane: str
    weight: int
    mirror: int
    salt: str
    champion: str
    candidate: str
    total: int = 10_000
    """Sum of the weights, in parts of 10 000."""
    requests: int = 0
    """At the first sight of this state."""
    requests_later: int = 0
    """At the last sight of this state."""
    until: float = 0.0
    """Time of the last sight of this state."""


@dataclass(frozen=True)
class Held:
    """A lease as it stood written from `at` on."""

    at: float
    lane: str
    token: int
    weight: int
    expires_at: float | None


@dataclass(frozen=True)
class Entry:
    """One event of the journal."""

    number: int
    at: float
    lane: str
    rollout: str
    kind: str
    author: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Hit:
    """One fault: what was done to whom, when, and when it was over (the process was back, the signal taken back)."""

    number: int
    target: str
    how: str
    lane: str
    step: str
    """Where that lane's rollout stood."""
    at: float
    back_at: float
    open: tuple[str, ...] = ()
    """Rollouts that were open at that instant, as lane/rollout."""


@dataclass(frozen=True)
class End:
    """What stood at the end of everything: journal, gateway, registry and servers of one lane."""

    lane: str
    champion: str | None
    """By the journal."""
    routed: str
    """By the gateway."""
    weight: int
    alias: str | None
    """By the registry."""
    registered: dict[str, str]
    """Versions in the registry → the training that made them."""
    holder: str | None
    """Who holds the lane's lock."""
    unmade: tuple[str, ...] = ()
    """Trainings that the journal calls registered and whose result was never committed."""


@dataclass
class Records:
    """Everything that was seen."""

    requests: list[Request] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    ledgers: list[dict[str, Any]] = field(default_factory=list)
    """Reports of ingested batches, with the number of rows that were landed."""
    stuck: list[str] = field(default_factory=list)
    """One sentence a release that was asked for and never began."""
    lease: float = 5.0

    def save(self, path: Path) -> None:
        """For a person who wants to look again."""
        path.write_text(json.dumps(asdict(self)))


def read_records(path: Path) -> Records:
    """What `save` wrote."""
    raw = json.loads(path.read_text())
    parts = {"requests": Request, "shown": Shown, "held": Held, "journal": Entry, "hits": Hit, "ends": End}
    found: dict[str, Any] = {name: [part(**entry) for entry in raw.pop(name)] for name, part in parts.items()}
    return Records(**found, **raw)


def read_requests(path: Path) -> list[Request]:
    """The clients' log; a torn last line is left out."""
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(Request(**json.loads(line)))
        except ValueError:
            continue
    return found
