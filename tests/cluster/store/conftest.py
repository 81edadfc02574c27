"""A place of its own in the cluster's S3 store for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.s3 import s3_prefix


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with s3_prefix("store") as place:
        yield place


@pytest.fixture
def store(url: str, tmp_path: Path) -> ObjectStore:
    return ObjectStore(Settings(home=tmp_path / "home", store_url=url))
