"""Where the servers of these tests run, and what asks them."""

import http.client
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fsspec
import orjson
import pytest

from sluicegate import kube
from sluicegate.adapters.deployment_runtime import DeploymentRuntime
from sluicegate.domain.servers import Serving
from sluicegate.serving import depot
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.package import toy_row

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

SERVING = Serving(servers=1, most=4, cpu="100m", memory="384Mi")


@dataclass(frozen=True)
class Place:
    """Where the servers of these tests run."""

    cluster: Cluster
    settings: Settings
    acting: Cluster
    """The cluster for the role `release`."""

    @property
    def namespace(self) -> str:
        return self.settings.namespace

    def runtime(self) -> DeploymentRuntime:
        return DeploymentRuntime(self.settings, lambda _: SERVING)

    def pods(self, model: str, version: str) -> list[str]:
        """Names of the version's pods that are not about to end."""
        selector = ",".join(f"{k}={v}" for k, v in kube.labels("server", model=model, version=version).items())
        found = orjson.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def address(self, model: str, version: str) -> str:
        """The Service's address, which is routed from here."""
        name = kube.named(model, f"v{version}")
        return self.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")

    def post(self, model: str, version: str, body: bytes) -> int:
        """Status of one answer; 0 when there was none."""
        connection = http.client.HTTPConnection(self.address(model, version), 8080, timeout=10.0)
        try:
            connection.request("POST", f"/models/{model}/predict", body)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def logged(self, model: str, version: str, asked_by: str) -> int:
        """How many answers to these clients the store has in the version's prediction log."""
        files, root = fsspec.core.url_to_fs(self.settings.store_url, use_listings_cache=False)
        paths = [path for path in files.find(root) if f"/{model}/{version}/" in path]
        lines = b"".join(files.cat_file(path) for path in sorted(paths)).splitlines()
        return len({orjson.loads(line)["request_id"] for line in lines if asked_by.encode() in line})

    def forget_package(self, package: str) -> None:
        """The store loses a package."""
        files, root = fsspec.core.url_to_fs(depot.place(self.settings.store_url, package), use_listings_cache=False)
        files.rm(root, recursive=True)

    def administrator(self) -> "ApiClient":
        """Asks with all rights, whatever KUBECONFIG says."""
        with _environment(KUBECONFIG=self.cluster.environment["KUBECONFIG"]):
            return kube.client(self.settings)

    @contextmanager
    def as_release(self) -> Iterator[DeploymentRuntime]:
        """The runtime with the rights of the role `release`, for the fixtures that live longer than a test."""
        with _environment(**self.acting.environment):
            yield self.runtime()

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments).stdout


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


class Clients:
    """Keep-alive clients that ask one after the other until the block ends; every answer but a 200 is a failure."""

    def __init__(self, address: str, model: str, count: int = 8, port: int = 8080) -> None:
        self.address, self._port, self._path = address, port, f"/models/{model}/predict"
        self.name = uuid.uuid4().hex
        self.answered: Counter[str] = Counter()
        """By version."""
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        asked = 0
        while not self._stop.is_set():
            address = self.address
            with closing(http.client.HTTPConnection(address, self._port, timeout=10.0)) as connection:
                while self.address == address and not self._stop.is_set():
                    asked += 1
                    if not self._ask(connection, toy_row(asked) | {"request_id": f"{self.name}-{number}-{asked}"}):
                        break

    def _ask(self, connection: http.client.HTTPConnection, row: Mapping[str, object]) -> bool:
        """One request; whether the connection may be used again."""
        try:
            connection.request("POST", self._path, orjson.dumps(row))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as e:
            self.failures.append(f"{connection.host}: {type(e).__name__}: {e}")
            return False
        if answer.status != 200:
            self.failures.append(f"{connection.host}: {answer.status} {content[:200]!r}")
            return False
        self.answered[orjson.loads(content)["version"]] += 1
        return True
