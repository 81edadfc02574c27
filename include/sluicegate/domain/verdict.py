"""What a judge says: never a bare boolean, always a value with a reason (constant), a message (sentence) and numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Online: what a gate, or a whole stage, says about the evidence so far."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class OfflineVerdict(StrEnum):
    """Offline: what the comparison on the same holdout says before anything is deployed."""

    PROMOTE = "promote"
    NEUTRAL = "neutral"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"
    FIRST = "first"  # there is no champion yet: nothing to compare with


@dataclass(frozen=True)
class GateVerdict:
    """The verdict of one gate at one look."""

    gate: str
    verdict: Verdict
    reason: str
    message: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "gate": self.gate,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "message": self.message,
            "numbers": dict(self.numbers),
        }


@dataclass(frozen=True)
class StageVerdict:
    """The verdict of a stage: FAIL if one gate fails, PASS if all required gates allow the next increment, else INCONCLUSIVE."""

    verdict: Verdict
    reason: str
    message: str
    gates: tuple[GateVerdict, ...] = ()
    frozen: bool = False  # both versions suffer together: hold the weight, keep the lease, stop the stage's clock

    @property
    def digest(self) -> str:
        """16 hex digits that differ when one bit of the verdict, its messages or its numbers differs."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "message": self.message,
            "gates": [g.to_dict() for g in self.gates],
            "frozen": self.frozen,
        }
