"""What every test of the real cluster shares. All tests in this folder have the marker `cluster`."""

import json
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from sluicegate.errors import UnavailableError
from sluicegate.testing.cluster import Cluster, Images, bring_up, bring_up_gateway, expected

HERE = Path(__file__).parent
ISTIO = "v1.31.1"
"""Of the Go module istio.io/api, which carries the published schemas."""
ISTIO_KINDS = ("VirtualService", "EnvoyFilter", "DestinationRule")
STRICT = bool(os.environ.get("CI")) and expected()
"""CI with a cluster: what is skipped then is a part that nobody tested."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, "pytest.CallInfo[None]", None]:
    report = (yield).get_result()  # type: ignore[attr-defined]
    if report.skipped and STRICT and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although CI has a cluster: {_reason(report.longrepr)}"


def _reason(why: object) -> str:
    return str(why[-1]) if isinstance(why, tuple) else str(why)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The running cluster. Fixtures that live longer than one test take KUBECONFIG, PATH and AWS_* from `cluster.environment`."""
    try:
        return bring_up()
    except UnavailableError as e:
        if expected():
            pytest.fail(str(e))
        pytest.skip(str(e))


@pytest.fixture(autouse=True)
def _environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a test of the cluster runs, the process itself sees the cluster's variables; later tests do not."""
    if "cluster" in request.fixturenames:
        environment = request.getfixturevalue("cluster").environment
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for library in ("kubernetes", "kubernetes_asyncio"):  # both read KUBECONFIG once, when they are imported
            monkeypatch.setattr(f"{library}.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", environment["KUBECONFIG"])


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace of this test alone."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="module")
def module_namespaces(cluster: Cluster) -> Iterator[Callable[[], str]]:
    """Fresh namespaces for what is dear to set up: each call gives one, all are deleted after the module's last test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(cluster.namespace())


@pytest.fixture(scope="session")
def gateway_class(cluster: Cluster) -> str:
    """An accepted GatewayClass with a real data plane."""
    return bring_up_gateway(cluster)


@pytest.fixture(scope="session")
def istio_schemas(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Istio's published definitions, on the API server."""
    folder: Path = tmp_path_factory.mktemp("istio")
    path = {"cwd": folder, "env": cluster.environment, "check": True, "capture_output": True, "text": True}
    subprocess.run(["go", "mod", "init", "schemas"], **path)
    fetched = subprocess.run(["go", "mod", "download", "-json", f"istio.io/api@{ISTIO}"], **path)
    text = (Path(json.loads(fetched.stdout)["Dir"]) / "kubernetes" / "customresourcedefinitions.gen.yaml").read_text()
    wanted = [each for each in yaml.safe_load_all(text) if each and each["spec"]["names"]["kind"] in ISTIO_KINDS]
    cluster.apply(wanted, "--server-side", "--force-conflicts")
    names = [f"crd/{each['metadata']['name']}" for each in wanted]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    """The image of each role, `images["work"]`: built and loaded when it is first asked for."""
    return Images(cluster)
