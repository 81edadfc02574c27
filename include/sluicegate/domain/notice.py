"""What people must hear of: a rollout that was taken back, traffic that was withdrawn, an approval that is waited for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Notice:
    """One thing that happened: what, when, the numbers, who. The same `key` told twice is one thing told twice."""

    model: str
    rollout: str
    what: str
    """A constant in lower case: reverted, aborted, superseded, reinstated, withdrawn, approval_asked, held, cut."""
    at: float
    """Seconds since the epoch."""
    author: str
    reason: str
    message: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identity: one rollout ends once, but may be withdrawn or ask for approval at several times."""
        again = f"-{int(self.at * 1000)}" if self.what in ("withdrawn", "approval_asked", "held", "cut") else ""
        return f"{self.rollout or 'none'}-{self.what}{again}"

    def to_dict(self) -> dict[str, Any]:
        return {"key": self.key, **asdict(self)}
