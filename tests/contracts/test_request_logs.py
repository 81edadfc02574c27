"""One contract for everything that hands out logged requests."""

import uuid
from pathlib import Path

import pytest

from sluicegate.adapters.folder_requests import FolderRequests
from sluicegate.adapters.object_store import ObjectStore
from sluicegate.ports import RequestLogs
from sluicegate.settings import Settings
from sluicegate.testing.request_logs import WrittenRequests
from sluicegate.testing.request_logs_contract import RequestLogsContract, Serve


def appending(settings: Settings) -> Serve:
    """Servers on this machine."""

    def serve(model: str, version: str, more: bytes) -> None:
        path = settings.predictions / model / version / "29991231T23-1.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            log.write(more)

    return serve


class TestWrittenRequests(RequestLogsContract):
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(home=tmp_path / "home")

    @pytest.fixture
    def requests(self, settings: Settings) -> RequestLogs:
        return WrittenRequests(settings)

    @pytest.fixture
    def serve(self, settings: Settings) -> Serve:
        return appending(settings)


class TestFolderRequests(TestWrittenRequests):
    @pytest.fixture
    def requests(self, settings: Settings) -> RequestLogs:
        return FolderRequests(settings)


class TestObjectRequests(RequestLogsContract):
    @pytest.fixture(params=["memory", "file"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
        place = {"memory": f"memory://{uuid.uuid4().hex}", "file": f"file://{tmp_path}/store"}[request.param]
        return ObjectStore(Settings(home=tmp_path / "home", store_url=place))

    @pytest.fixture
    def requests(self, store: ObjectStore) -> RequestLogs:
        return store.requests

    @pytest.fixture
    def serve(self, store: ObjectStore, tmp_path: Path) -> Serve:
        beside = Settings(home=tmp_path / "server")

        def serve(model: str, version: str, more: bytes) -> None:
            appending(beside)(model, version, more)
            store.shipper(beside.predictions / model / version, model, version, "pod-1").ship()

        return serve
