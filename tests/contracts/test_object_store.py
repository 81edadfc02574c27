"""The object store passes the contracts of all ports that it implements, in memory and in a folder; S3 does in tests/cluster/store."""

import uuid
from pathlib import Path

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.ports import Dataset, Landing, Results
from sluicegate.settings import Settings
from sluicegate.testing.dataset_contract import DatasetContract
from sluicegate.testing.landing_contract import LandingContract
from sluicegate.testing.results_contract import ResultsContract


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    place = {"memory": f"memory://{uuid.uuid4().hex}", "file": f"file://{tmp_path}/store"}[request.param]
    return ObjectStore(Settings(home=tmp_path / "home", store_url=place))


class TestObjectDataset(DatasetContract):
    @pytest.fixture
    def dataset(self, store: ObjectStore) -> Dataset:
        return store.dataset


class TestObjectLanding(LandingContract):
    @pytest.fixture
    def landing(self, store: ObjectStore) -> Landing:
        return store.landing


class TestObjectResults(ResultsContract):
    @pytest.fixture
    def results(self, store: ObjectStore) -> Results:
        return store.results
