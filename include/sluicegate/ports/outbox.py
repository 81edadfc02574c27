"""What travels between who gives an order and the pod that carries it out: the order there, the result back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sluicegate.domain.order import Order


@dataclass(frozen=True)
class Failure:
    """Why work left no result, in its own words."""

    message: str
    kind: str
    """Name of the error; empty when the work was killed and could not say."""


class Outbox(Protocol):
    def send(self, order: Order) -> str:
        """Put the order where pods reach it, and return its URL; sending again changes nothing."""
        ...

    def take(self, url: str) -> Order:
        """The order at a URL that `send` gave; OrderError when there is none, or another one than was sent."""
        ...

    def tell(self, key: str, log: Path, failure: Failure | None) -> None:
        """Keep what the last try printed and, if it failed, why. People read it; that the work is done only its result says."""
        ...

    def result(self, order: Order) -> Mapping[str, Any] | None:
        """result.json of the committed result, without the files beside it; None while there is none."""
        ...
