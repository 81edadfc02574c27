"""The shell on the path as Airflow puts it, and one prepared installation for all tests of a module."""

from collections.abc import Iterator

import pytest
import tests.airflow_here  # noqa: F401
from tests.cluster.pods.rig import World

from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster, Images


@pytest.fixture(scope="module")
def installation(cluster: Cluster, images: Images, module_namespaces, tmp_path_factory) -> Iterator[World]:
    """An installation whose store and namespace are its own; the process sees its settings while the module's tests run."""
    namespace = module_namespaces()
    settings = Settings(
        profile="kubernetes",
        namespace=namespace,
        store_url=f"s3://sluicegate/{namespace}",
        image_work=images["work"],
        home=tmp_path_factory.mktemp("home"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**cluster.environment, **settings.to_environment()}.items():
            patch.setenv(name, value)
        world = World(cluster, settings)
        world.prepare()
        world.commit("b1", tmp_path_factory.mktemp("batch") / "b1")
        yield world


@pytest.fixture
def world(installation: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in {**installation.cluster.environment, **installation.settings.to_environment()}.items():
        monkeypatch.setenv(name, value)
    return installation
