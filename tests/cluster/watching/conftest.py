"""The rig of the tests of watching: started once, since a Prometheus and its pods are slow to start; each test leaves it whole."""

from collections.abc import Iterator

import pytest
from tests.cluster.watching.rig import Rig, running_rig

from sluicegate.testing.cluster import Cluster
from sluicegate.testing.prometheus import find_prometheus


@pytest.fixture(scope="session")
def prometheus_program(cluster: Cluster) -> str:
    return find_prometheus(cluster.environment["PATH"])


@pytest.fixture(scope="session")
def shared_rig(prometheus_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running_rig(prometheus_program, tmp_path_factory.mktemp("watching"), replicas=2) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """Two replicas of each version, all of them read."""
    shared_rig.whole()
    return shared_rig
