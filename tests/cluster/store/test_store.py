"""A real S3 store: the contracts of its ports, and what only a store on a network can get wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.ports import Dataset, Landing, Results
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.dataset_contract import DatasetContract
from sluicegate.testing.landing_contract import LandingContract
from sluicegate.testing.results_contract import ResultsContract
from sluicegate.testing.s3 import s3_prefix


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with s3_prefix("store") as place:
        yield place


@pytest.fixture
def store(url: str, tmp_path: Path) -> ObjectStore:
    return ObjectStore(Settings(home=tmp_path / "home", store_url=url))


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
