"""Model servers in a namespace of their own, started with the rights of the role that starts them."""

from collections.abc import Callable, Iterator

import pytest
from tests.cluster.servers.place import Place

from sluicegate.adapters.deployment_runtime import DeploymentRuntime
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.s3 import s3_prefix

STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def place(
    cluster: Cluster, images: Images, module_namespaces: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    namespace, folder = module_namespaces(), tmp_path_factory.mktemp("release")
    things = cluster.rendered(PROJECT / "docker" / "kubernetes" / "overlays" / "small", namespace)
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sluicegate", "namespace": namespace}}
    opened = {key: cluster.environment[key] for key in STORE_KEYS if key in cluster.environment}
    rights = [thing for thing in things if thing["kind"] in ("ServiceAccount", "Role", "RoleBinding")]
    cluster.apply([*rights, {**secret, "stringData": opened}])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        with s3_prefix("servers") as url:
            settings = Settings(profile="kubernetes", namespace=namespace, store_url=url, image_serve=images["serve"])
            yield Place(cluster, settings, cluster.acting_as("sluicegate-release", namespace, folder))


@pytest.fixture
def runtime(place: Place, monkeypatch: pytest.MonkeyPatch, _environment: None) -> DeploymentRuntime:
    monkeypatch.setenv("KUBECONFIG", place.acting.environment["KUBECONFIG"])
    return place.runtime()
