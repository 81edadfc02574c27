"""Orders on their way between who gives them and who carries them out: orders/<content key>/{order.json,log,error.json}."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluicegate.adapters.object_store.objects import Objects
from sluicegate.adapters.object_store.results import KIND
from sluicegate.adapters.object_store.shelf import Shelf
from sluicegate.domain.order import Order
from sluicegate.errors import OrderError
from sluicegate.folders import child
from sluicegate.ports.outbox import Failure


class ObjectOutbox:
    """Implements the Outbox port."""

    def __init__(self, objects: Objects, shelf: Shelf) -> None:
        self._objects, self._shelf = objects, shelf

    def send(self, order: Order) -> str:
        name = _place(order.key, "order.json")
        self._objects.create(name, order.to_json().encode())
        return f"{self._objects.url}/{name}"

    def take(self, url: str) -> Order:
        root, key = f"{self._objects.url}/orders/", _key(url)
        content = self._objects.read(_place(key, "order.json")) if url == f"{root}{key}/order.json" else None
        if content is None:
            raise OrderError(f"there is no order at {url}: orders of this installation lie in {root}<content key>/order.json")
        order = Order.from_json(content.decode("utf-8", "replace"))
        if order.key != key:
            raise OrderError(f"the order at {url} has the content key {order.key}: somebody changed it; send it again")
        return order

    def result(self, order: Order) -> Mapping[str, Any] | None:
        content = self._shelf.peek(KIND, order.key, "result.json")
        return None if content is None else dict(json.loads(content))

    def tell(self, key: str, log: Path, failure: Failure | None) -> None:
        self._objects.upload(_place(key, "log"), log)
        if failure is None:
            self._objects.remove(_place(key, "error.json"))
        else:
            self._objects.write(_place(key, "error.json"), json.dumps(asdict(failure)).encode())


def _key(url: str) -> str:
    """Content key of the order at a URL, as its place says; OrderError when it says none."""
    parts = url.split("/")
    if len(parts) < 3 or parts[-3] != "orders" or parts[-1] != "order.json" or not parts[-2].isalnum():
        raise OrderError(f"'{url[:200]}' is no URL of an order: it ends in orders/<content key>/order.json")
    return parts[-2]


def _place(key: str, file: str) -> str:
    return f"orders/{child(Path(), key)}/{file}"
