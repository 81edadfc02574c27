"""An order in a process group of this machine: the task follows it, shows its log and takes its committed result."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context

from sluicegate.domain.order import Order
from sluicegate.errors import SluicegateError, UnavailableError
from sluicegate.ports import Orders, OrderStatus
from sluicegate.wiring import wire
from sluicegate_airflow.errors import told
from sluicegate_airflow.inputs import INPUTS
from sluicegate_airflow.links import ReportLink

POOL = "orders"
POLL = 0.2
"""Seconds between two looks at a running order."""
LONGEST = timedelta(hours=12)
LARGEST = 1000
"""Characters of JSON above which a part of a result stays in the result folder and does not travel through XCom."""


class OrderOperator(BaseOperator):
    """Submits an order, shows its log, and returns `{"key": content key, **small parts of its result}`.

    Killed and started again, it finds the same order running or done: the content key is made from the inputs alone.
    """

    template_fields = ("given",)
    ui_color = "#cfe3f7"

    def __init__(self, *, model: str, action: str, given: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**{"pool": POOL, "execution_timeout": LONGEST, **kwargs})
        self.model, self.action, self.given = model, action, given
        self._order: Order | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        with told():
            ports = wire()
            self._order = Order(self.action, self.model, INPUTS[self.action](ports, self.model, self.given))
            self.log.info("order %s of %s, content key %s", self.action, self.model, self._order.key)
            result = self._follow(ports.orders, self._order)
        return {"key": self._order.key, **small(result)}

    def on_kill(self) -> None:
        """A person stopped the task: stop the work too."""
        if self._order is not None:
            wire().orders.cancel(self._order)

    def _follow(self, orders: Orders, order: Order) -> Mapping[str, Any]:
        before = orders.status(order)
        shown = _size(before.log) if before.state == "failed" else 0
        orders.submit(order)
        while True:
            status = orders.status(order)
            shown = self._show(status.log, shown)
            if status.state == "done":
                return status.result or {}
            if status.state != "running":
                raise failure(order, status)
            time.sleep(POLL)

    def _show(self, log: str, shown: int) -> int:
        """Copy what the work has printed since `shown` (bytes) into the task's log; whole lines only."""
        if not log or not Path(log).exists():
            return shown
        with Path(log).open("rb") as file:
            file.seek(shown)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.decode(errors="replace").splitlines():
            self.log.info("%s", line)
        return shown + len(whole)


class ReportedOrderOperator(OrderOperator):
    """An order whose result holds a report, with a button that opens it."""

    operator_extra_links = (ReportLink(),)
    reported = ""
    """Content key of the result, empty before there is one."""

    def execute(self, context: Context) -> dict[str, Any]:
        result = super().execute(context)
        self.reported = result["key"]
        return result


def failure(order: Order, status: OrderStatus) -> SluicegateError:
    """Why an order has no result: worth another try when it was killed or something outside did not answer."""
    sentence = f"the order '{order.action}' of model '{order.model}' failed: {status.message or status.state}"
    again = status.kind in ("", "UnavailableError")  # empty: killed
    return UnavailableError(sentence) if again else SluicegateError(sentence)


def small(result: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a result that other tasks and people read; the rest stays with the committed result."""
    return {name: value for name, value in result.items() if len(json.dumps(value)) <= LARGEST}


def _size(log: str) -> int:
    path = Path(log)
    return path.stat().st_size if log and path.exists() else 0
