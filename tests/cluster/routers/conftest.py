"""One gateway of each kind for all tests of routers; each test has a model of its own."""

from collections.abc import Callable, Iterator

import pytest

from sluicegate.adapters.cluster_router import ClusterRouter
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.cluster_gateway import ClusterGateway, gateway_api, our_envoys, ready
from sluicegate.wiring import wire

KINDS = {"envoy": our_envoys, "gateway-api": gateway_api}


@pytest.fixture(scope="module", params=KINDS)
def gateway(
    request: pytest.FixtureRequest, cluster: Cluster, images: Images, module_namespaces: Callable[[], str]
) -> Iterator[ClusterGateway]:
    if request.param == "gateway-api":
        request.getfixturevalue("gateway_class")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", cluster.environment["KUBECONFIG"])
        with KINDS[request.param](cluster, module_namespaces(), images) as gateway:
            ready(gateway)
            yield gateway


@pytest.fixture
def router(gateway: ClusterGateway) -> Iterator[ClusterRouter]:
    """Routes go after each test: an Envoy that follows files watches three of them a model, and a node lets a user watch few."""
    router = wire(gateway.settings).router
    assert isinstance(router, ClusterRouter)
    yield router
    for model, stored in router.asked().items():
        if stored.route is not None:
            router.remove(model, stored.token)
