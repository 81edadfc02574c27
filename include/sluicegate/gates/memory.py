"""Gate `memory_mb`: the candidate's process stays below the bound. The one measurement that is a level, not a counter."""

from dataclasses import dataclass

from sluicegate.domain.evidence import ArmCounters

LOOKS = 3
"""So many looks in a row above the bound are a breach, so many measured ones a pass: one instant is neither."""
BYTES_PER_MB = 1e6


@dataclass(frozen=True)
class Memory:
    """Resident memory of both processes, megabytes; None where it is not known."""

    champion: float | None = None
    candidate: float | None = None
    measured: int = 0
    """Looks since the stage began in which the candidate's was known."""
    over: int = 0
    """Looks in a row above the bound; stays once it has reached LOOKS."""

    @property
    def breached(self) -> bool:
        return self.over >= LOOKS


def fold(memory: Memory, champion: ArmCounters | None, candidate: ArmCounters | None, bound: float) -> Memory:
    """One more look; a look in which the candidate's memory is not known leaves the count as it is."""
    before, now = _megabytes(champion), _megabytes(candidate)
    if now is None:
        return Memory(before, None, memory.measured, memory.over)
    above = now > allowed(before, bound)
    over = memory.over + 1 if above else memory.over if memory.breached else 0
    return Memory(before, now, memory.measured + 1, over)


def allowed(champion: float | None, bound: float) -> float:
    """The bound, or what the champion itself needs."""
    return max(bound, champion or 0.0)


def _megabytes(arm: ArmCounters | None) -> float | None:
    known = arm is not None and arm.memory_bytes is not None and 0 <= arm.memory_bytes < float("inf")
    return arm.memory_bytes / BYTES_PER_MB if known and arm is not None and arm.memory_bytes is not None else None
