"""One contract, every outbox; and what only a store can get wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.domain.order import Order
from sluicegate.errors import OrderError, UnavailableError
from sluicegate.ports import Failure, Outbox
from sluicegate.settings import Settings
from sluicegate.testing.outbox import MemoryOutbox
from sluicegate.testing.outbox_contract import ORDER, OutboxContract


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self) -> MemoryOutbox:
        return MemoryOutbox()

    @pytest.fixture
    def commit(self, outbox: MemoryOutbox) -> Callable[..., None]:
        return lambda order, result: outbox.results.update({order.key: result})


class TestObjectOutbox(OutboxContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return ObjectStore(Settings(home=tmp_path / "home", store_url=f"file://{tmp_path}/store"))

    @pytest.fixture
    def outbox(self, store: ObjectStore) -> Outbox:
        return store.outbox

    @pytest.fixture
    def commit(self, store: ObjectStore, tmp_path: Path) -> Callable[..., None]:
        def make(order: Order, result: object) -> None:
            folder = tmp_path / "work"
            folder.mkdir()
            (folder / "result.json").write_text(json.dumps(result))
            (folder / "model.bin").write_bytes(b"\0" * 100)
            store.results.commit(order.key, folder)

        return make

    def test_a_result_is_read_without_fetching_the_files_beside_it(self, outbox: Outbox, commit, tmp_path: Path) -> None:
        commit(ORDER, {"version": "3"})
        for model in (tmp_path / "store").rglob("model.bin"):
            model.unlink()
        assert outbox.result(ORDER) == {"version": "3"}

    def test_a_result_that_was_altered_is_no_result(self, outbox: Outbox, commit, tmp_path: Path) -> None:
        commit(ORDER, {"version": "3"})
        (altered,) = (tmp_path / "store" / "results").rglob("result.json")
        altered.unlink()
        altered.write_text('{"version": "4"}')
        with pytest.raises(UnavailableError, match=r"result\.json of file://.* is not what was committed"):
            outbox.result(ORDER)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "file:///etc/passwd",
            "s3://other/orders/{key}/order.json",
            "{root}/orders/../orders/{key}/order.json",
            "{root}/orders/../order.json",
        ],
    )
    def test_a_url_outside_the_orders_of_this_store_is_refused(self, outbox: Outbox, url: str, tmp_path: Path) -> None:
        outbox.send(ORDER)
        with pytest.raises(OrderError):
            outbox.take(url.format(key=ORDER.key, root=f"file://{tmp_path}/store"))

    def test_an_order_that_was_changed_on_its_way_is_refused(self, outbox: Outbox, tmp_path: Path) -> None:
        url = outbox.send(ORDER)
        (place,) = (tmp_path / "store" / "orders").rglob("order.json")
        place.write_text(Order("train", "other").to_json())
        with pytest.raises(OrderError, match="somebody changed it"):
            outbox.take(url)

    def test_the_log_and_the_reason_of_the_last_try_lie_beside_the_order(self, outbox: Outbox, tmp_path: Path) -> None:
        log, beside = tmp_path / "log", tmp_path / "store" / "orders" / ORDER.key
        log.write_bytes(b"first try\n")
        outbox.tell(ORDER.key, log, Failure("too few rows", "RefusedError"))
        assert json.loads((beside / "error.json").read_text()) == {"message": "too few rows", "kind": "RefusedError"}
        log.write_bytes(b"second try\n")
        outbox.tell(ORDER.key, log, None)
        assert [path.name for path in beside.iterdir()] == ["log"]
        assert (beside / "log").read_bytes() == b"second try\n"
