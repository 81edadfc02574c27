"""What every outbox keeps. Run over each adapter and over the fake: subclass, and give an `outbox` and a way to `commit`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sluicegate.domain.order import Order
from sluicegate.errors import OrderError
from sluicegate.ports.outbox import Failure, Outbox

ORDER = Order("train", "toy", {"snapshot_id": "s1", "note": "a'b\n$(id) ☃"})


class OutboxContract:
    """Tests that every implementation of the Outbox port passes."""

    @pytest.fixture
    def outbox(self) -> Outbox:
        raise NotImplementedError

    @pytest.fixture
    def commit(self) -> Callable[[Order, Mapping[str, Any]], None]:
        """Commits a result, as the pod would."""
        raise NotImplementedError

    def test_an_order_that_was_sent_is_taken_at_its_url(self, outbox: Outbox) -> None:
        assert outbox.take(outbox.send(ORDER)) == ORDER

    def test_sending_again_changes_nothing(self, outbox: Outbox) -> None:
        url = outbox.send(ORDER)
        assert outbox.send(ORDER) == url
        assert outbox.take(url) == ORDER

    def test_an_order_that_nobody_sent_cannot_be_taken(self, outbox: Outbox) -> None:
        url = outbox.send(ORDER)
        with pytest.raises(OrderError, match="no order at"):
            outbox.take(url.replace(ORDER.key, "0" * 32))

    def test_there_is_no_result_before_one_is_committed(self, outbox: Outbox) -> None:
        outbox.send(ORDER)
        assert outbox.result(ORDER) is None

    def test_a_committed_result_is_found_for_its_order_alone(
        self, outbox: Outbox, commit: Callable[[Order, Mapping[str, Any]], None]
    ) -> None:
        commit(ORDER, {"version": "3", "rows": {"in": 2}})
        assert outbox.result(ORDER) == {"version": "3", "rows": {"in": 2}}
        assert outbox.result(Order("train", "toy", {"snapshot_id": "s2"})) is None

    def test_what_is_told_of_a_try_makes_no_result(self, outbox: Outbox, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("words")
        for failure in (Failure("too few rows", "RefusedError"), None, None):
            outbox.tell(ORDER.key, log, failure)
        assert outbox.result(ORDER) is None
