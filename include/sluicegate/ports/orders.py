"""Carries out orders somewhere else than in the caller's process, and outlives the caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sluicegate.domain.order import Order


@dataclass(frozen=True)
class OrderStatus:
    """Where an order stands. Success is the committed result and nothing else."""

    state: Literal["absent", "running", "done", "failed"]
    message: str = ""
    """Why it failed, one sentence; empty otherwise."""
    result: Mapping[str, Any] | None = None
    """result.json of the committed result."""
    log: str = ""
    """Path or URL of what the work printed."""
    kind: str = ""
    """Name of the error that it failed with; empty when it was killed and could not say."""


class Orders(Protocol):
    def submit(self, order: Order) -> None:
        """Start the work unless its result is committed or it is already running. The work survives its submitter."""
        ...

    def status(self, order: Order) -> OrderStatus: ...

    def cancel(self, order: Order) -> None:
        """Stop the work if it runs; cancelling again changes nothing."""
        ...
