"""An order as a task: followed to its committed result, failed with one sentence, tried again only when that may help."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sluicegate.domain.order import Order
from sluicegate.errors import UnavailableError
from sluicegate.ports.orders import OrderStatus
from sluicegate_airflow import orders
from sluicegate_airflow.errors import POLICY
from sluicegate_airflow.orders import small
from sluicegate_airflow.tasks import order_task

BATCH = {"batch": {"batch_id": "b1", "name": "labels.csv"}}


class ScriptedOrders:
    """An Orders port that answers the given statuses one after the other, the last one for ever."""

    def __init__(self, *answers: OrderStatus) -> None:
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.submitted: list[Order] = []
        self.cancelled: list[Order] = []

    def submit(self, order: Order) -> None:
        self.submitted.append(order)

    def status(self, order: Order) -> OrderStatus:
        return next(self._answers)

    def cancel(self, order: Order) -> None:
        self.cancelled.append(order)


def run(monkeypatch: pytest.MonkeyPatch, *answers: OrderStatus):
    port = ScriptedOrders(*answers)
    monkeypatch.setattr(orders, "wire", lambda: SimpleNamespace(orders=port))
    monkeypatch.setattr(orders, "POLL", 0)
    task = order_task("toy", "validate", BATCH)
    return task, port, lambda: task.execute({})


def test_a_finished_order_returns_its_key_and_its_result(monkeypatch) -> None:
    done = OrderStatus("done", result={"batch_id": "b1", "rows": {"in": 3}})
    _, port, execute = run(monkeypatch, OrderStatus("absent"), OrderStatus("running"), done)
    assert execute() == {"key": port.submitted[0].key, "batch_id": "b1", "rows": {"in": 3}}
    assert port.submitted == [Order("validate", "toy", {"batch_id": "b1", "name": "labels.csv"})]


def test_an_order_that_met_a_mistake_fails_the_task_for_good_with_its_sentence(monkeypatch) -> None:
    failed = OrderStatus("failed", message="the key 'x' is missing", kind="SpecError")
    _, _, execute = run(monkeypatch, OrderStatus("absent"), failed)
    with pytest.raises(AirflowFailException, match="the key 'x' is missing"):
        execute()


@pytest.mark.parametrize("kind", ["UnavailableError", ""], ids=["outage", "killed"])
def test_an_order_that_met_an_outage_or_was_killed_is_worth_another_try(monkeypatch, kind: str) -> None:
    _, _, execute = run(monkeypatch, OrderStatus("absent"), OrderStatus("failed", message="no answer", kind=kind))
    with pytest.raises(UnavailableError, match="no answer") as e:
        execute()
    assert POLICY.evaluate(e.value, 1, 3).action.value == "retry"


def test_an_error_of_our_own_code_is_not_tried_again() -> None:
    assert POLICY.evaluate(KeyError("x"), 1, 3).action.value == "fail"


def test_stopping_the_task_stops_the_work(monkeypatch) -> None:
    task, port, execute = run(monkeypatch, OrderStatus("done", result={}))
    execute()
    task.on_kill()
    assert port.cancelled == port.submitted


def test_stopping_a_task_that_ordered_nothing_yet_stops_nothing(monkeypatch) -> None:
    task, port, _ = run(monkeypatch, OrderStatus("done", result={}))
    task.on_kill()
    assert port.cancelled == []


def test_the_work_log_is_copied_in_whole_lines(monkeypatch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    task = order_task("toy", "validate", BATCH)
    lines: list[str] = []
    monkeypatch.setattr(type(task), "log", SimpleNamespace(info=lambda _, line: lines.append(line)))
    log.write_bytes(b"one\ntw")
    shown = task._show(str(log), 0)
    log.write_bytes(b"one\ntwo\n\xffthree\n")
    task._show(str(log), shown)
    assert lines == ["one", "two", "�three"]


def test_large_parts_of_a_result_stay_in_the_result() -> None:
    assert small({"version": "3", "batches": ["b" * 32] * 1000}) == {"version": "3"}
