"""A real S3 store passes the contracts of the ports that it implements."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.domain.order import Order
from sluicegate.ports import Dataset, Landing, Outbox, RequestLogs, Results
from sluicegate.testing.dataset_contract import DatasetContract
from sluicegate.testing.landing_contract import LandingContract
from sluicegate.testing.outbox_contract import OutboxContract
from sluicegate.testing.request_logs_contract import RequestLogsContract, Serve
from sluicegate.testing.results_contract import ResultsContract


class TestDataset(DatasetContract):
    @pytest.fixture
    def dataset(self, store: ObjectStore) -> Dataset:
        return store.dataset


class TestLanding(LandingContract):
    @pytest.fixture
    def landing(self, store: ObjectStore) -> Landing:
        return store.landing


class TestResults(ResultsContract):
    @pytest.fixture
    def results(self, store: ObjectStore) -> Results:
        return store.results


class TestOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self, store: ObjectStore) -> Outbox:
        return store.outbox

    @pytest.fixture
    def commit(self, store: ObjectStore, tmp_path: Path) -> Callable[..., None]:
        def make(order: Order, result: object) -> None:
            folder = tmp_path / "work"
            folder.mkdir()
            (folder / "result.json").write_text(json.dumps(result))
            store.results.commit(order.key, folder)

        return make


class TestRequestLogs(RequestLogsContract):
    @pytest.fixture
    def requests(self, store: ObjectStore) -> RequestLogs:
        return store.requests

    @pytest.fixture
    def serve(self, store: ObjectStore, tmp_path: Path) -> Serve:
        def serve(model: str, version: str, more: bytes) -> None:
            folder = tmp_path / "server" / model / version
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "29991231T23-1.jsonl").open("ab") as log:
                log.write(more)
            store.shipper(folder, model, version, "pod-1").ship()

        return serve
