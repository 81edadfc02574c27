"""The verbs of the loop. Those that a separate process carries out are orders: `ORDERS[action](order, ports, folder) -> result`."""

import importlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.domain.order import Order
from sluicegate.errors import OrderError
from sluicegate.ports import Ports

ORDERS = {
    "validate": "sluicegate.actions.validate:run_validate",
    "snapshot": "sluicegate.actions.snapshot:run_snapshot",
    "train": "sluicegate.actions.train:run_train",
    "compare": "sluicegate.actions.compare:run_compare",
    "register": "sluicegate.actions.register:run_register",
    "release": "sluicegate.actions.release.asked:run_release",
}
"""Where each order's work is; imported when it is asked for, because the libraries behind it are heavy."""


def carry_out(order: Order, ports: Ports) -> Mapping[str, Any]:
    """The order's committed result: found, or made now and committed whole.

    Raises OrderError for an unknown action, and whatever the action raises; nothing is committed then.
    """
    found = ports.results.find(order.key)
    if found is None:
        found = _make(order, ports)
    result: dict[str, Any] = json.loads((found / "result.json").read_text())
    return result


def _make(order: Order, ports: Ports) -> Path:
    if order.action not in ORDERS:
        raise OrderError(f"unknown action '{order.action}': orders are {', '.join(ORDERS)}")
    module, name = ORDERS[order.action].split(":")
    ports.settings.results.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{order.action}-", dir=ports.settings.results))
    try:
        result = getattr(importlib.import_module(module), name)(order, ports, folder)
        (folder / "order.json").write_text(order.to_json())
        (folder / "result.json").write_text(json.dumps(result, sort_keys=True))
        return ports.results.commit(order.key, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
