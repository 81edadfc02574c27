"""Orders in real processes: done once, found again, outliving whoever submitted them."""

import json
import os
import signal
from pathlib import Path

import pytest

from sluicegate.adapters.process_orders import ProcessOrders
from sluicegate.domain.order import Order
from sluicegate.ports.orders import OrderStatus
from sluicegate.settings import Settings
from sluicegate.testing.waiting import wait_until

UNKNOWN = Order("dance", "toy", {"n": 1})


class FolderOfResults:
    """Just enough of the Results port: a folder a key."""

    def __init__(self, home: Path) -> None:
        self._root = home / "results"

    def find(self, key: str) -> Path | None:
        folder = self._root / key
        return folder if (folder / "result.json").exists() else None

    def commit(self, key: str, folder: Path) -> Path:
        raise NotImplementedError


def ended(orders: ProcessOrders, order: Order) -> OrderStatus:
    wait_until(lambda: orders.status(order).state != "running", within=30, pause=0.05)
    return orders.status(order)


@pytest.fixture
def orders(tmp_path: Path) -> ProcessOrders:
    return ProcessOrders(Settings(home=tmp_path), FolderOfResults(tmp_path))


def test_an_order_that_was_never_submitted_is_absent(orders: ProcessOrders) -> None:
    assert orders.status(UNKNOWN).state == "absent"


def test_a_failed_order_tells_why_in_one_sentence(orders: ProcessOrders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUICEGATE_HOME", str(tmp_path))
    orders.submit(UNKNOWN)
    status = ended(orders, UNKNOWN)
    assert status.state == "failed"
    assert status.message.startswith("unknown action 'dance': orders are validate, snapshot, train, compare, register")


def test_a_committed_result_is_found_and_nothing_is_started(orders: ProcessOrders, tmp_path: Path) -> None:
    folder = tmp_path / "results" / UNKNOWN.key
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"answer": 42}))
    orders.submit(UNKNOWN)
    assert orders.status(UNKNOWN).result == {"answer": 42}
    assert not (tmp_path / "orders").exists()


def test_work_that_is_killed_is_failed_and_can_be_submitted_again(
    orders: ProcessOrders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLUICEGATE_HOME", str(tmp_path))
    orders.submit(UNKNOWN)
    folder = tmp_path / "orders" / UNKNOWN.key
    os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
    assert ended(orders, UNKNOWN).state == "failed"
    assert "killed?" in ended(orders, UNKNOWN).message or "unknown action" in ended(orders, UNKNOWN).message
    orders.submit(UNKNOWN)
    assert "unknown action" in ended(orders, UNKNOWN).message
