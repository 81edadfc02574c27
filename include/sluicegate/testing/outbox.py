"""An outbox that is a dictionary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.domain.order import Order
from sluicegate.errors import OrderError
from sluicegate.ports.outbox import Failure


class MemoryOutbox:
    """Implements the Outbox port; `results` is what pods have committed, by content key."""

    def __init__(self) -> None:
        self.sent: dict[str, Order] = {}
        self.told: dict[str, tuple[str, Failure | None]] = {}
        self.results: dict[str, Mapping[str, Any]] = {}

    def send(self, order: Order) -> str:
        self.sent[order.key] = order
        return f"memory://orders/{order.key}/order.json"

    def take(self, url: str) -> Order:
        found = self.sent.get(url.removeprefix("memory://orders/").removesuffix("/order.json"))
        if found is None:
            raise OrderError(f"there is no order at {url}")
        return found

    def tell(self, key: str, log: Path, failure: Failure | None) -> None:
        self.told[key] = (log.read_text(), failure)

    def result(self, order: Order) -> Mapping[str, Any] | None:
        return self.results.get(order.key)
