"""A real Kubernetes for tests: the one that the developers' machines and CI share, or one that a person names for the purpose."""

import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

SHARED = PROJECT.parent / "shared" / "cluster"
"""Scripts that bring up a cluster for tests, beside the checkout; absent on a user's machine."""
VARIABLE = "SLUICEGATE_TEST_KUBECONFIG"
"""A kubeconfig whose cluster tests may use. KUBECONFIG alone is never enough: it may point at production."""
ABSENT = (
    f"no cluster for tests: these tests make and delete namespaces, so name a cluster that bears it, {VARIABLE}=/path/to/kubeconfig "
    "(images by SLUICEGATE_IMAGE_WORK ..., a store by AWS_ENDPOINT_URL ...)"
)


@dataclass(frozen=True)
class Cluster:
    """A running cluster: how to reach it, and kubectl."""

    environment: Mapping[str, str] = field(repr=False)
    """Whole environment for processes that use it: KUBECONFIG, PATH with kubectl and prometheus, AWS_* of the object store."""
    shared: bool = False
    """Whether it is the one of `SHARED`, whose images are built and loaded on this machine."""

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl; `given` is its standard input. UnavailableError with its words when it fails, unless told not to check."""
        done = subprocess.run(
            ["kubectl", *arguments],
            env=dict(self.environment),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode:
            raise UnavailableError(f"kubectl {' '.join(arguments)} failed ({done.returncode}): {done.stderr.strip()[-800:]}")
        return done

    def rendered(
        self, overlay: Path, namespace: str, *components: Path, images: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """The objects of an overlay of docker/kubernetes in another namespace, with more components, with these images by role."""
        named = [(f"sluicegate-{role}", *image.rpartition(":")) for role, image in (images or {}).items()]
        with tempfile.TemporaryDirectory(prefix="sluicegate-overlay-") as folder:
            base, *more = (os.path.relpath(path.resolve(), Path(folder).resolve()) for path in (overlay, *components))
            whole = {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "namespace": namespace,
                "resources": [base],  # kustomize takes no absolute paths
                "components": more,
                "images": [{"name": name, "newName": new, "newTag": tag} for name, new, _, tag in named],
            }
            (Path(folder) / "kustomization.yaml").write_text(json.dumps(whole))
            return list(yaml.safe_load_all(self.kubectl("kustomize", folder).stdout))

    def apply(self, things: Sequence[Mapping[str, Any]], *options: str) -> str:
        """Make these objects; what the API server warns of."""
        whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)})
        return self.kubectl("apply", "-f", "-", *options, given=whole).stderr

    def acting_as(self, account: str, namespace: str, folder: Path) -> "Cluster":
        """The same cluster as one of its service accounts sees it, by a token of an hour; its kubeconfig lies in `folder`."""
        token = self.kubectl("create", "token", account, "--namespace", namespace).stdout.strip()
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        path = folder / f"{account}.kubeconfig"
        path.write_text(json.dumps(config))
        return Cluster({**self.environment, "KUBECONFIG": str(path)}, self.shared)

    def client(self) -> "ApiClient":
        """The official client, as whom this cluster's kubeconfig says."""
        from kubernetes.config import new_client_from_config

        client: ApiClient = new_client_from_config(self.environment["KUBECONFIG"])
        return client

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """A fresh namespace, with everything in it gone afterwards."""
        name = f"sg-test-{uuid.uuid4().hex[:8]}"
        self.kubectl("create", "namespace", name)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@dataclass
class Images:
    """Images by role: built from this checkout and loaded on demand on the shared cluster, named by the environment elsewhere."""

    cluster: Cluster
    project: Path = PROJECT
    shared: Path = SHARED
    _known: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, role: str) -> str:
        if role not in self._known:
            self._known[role] = self._made(role) if self.cluster.shared else self._named(role)
        return self._known[role]

    def _named(self, role: str) -> str:
        variable = f"SLUICEGATE_IMAGE_{role.upper()}"
        if not self.cluster.environment.get(variable):
            raise UnavailableError(
                f"{variable} is not set: name the image of this checkout in a registry that the cluster can reach"
            )
        return self.cluster.environment[variable]

    def _made(self, role: str) -> str:
        build = [sys.executable, str(self.project / "docker" / "build.py"), role, "--format", "json"]
        done = subprocess.run(build, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"docker/build.py {role} failed: {done.stderr.strip()[-1500:]}")
        image: str = json.loads(done.stdout)[role]
        with _alone():
            self._load(image)
        return image

    def _load(self, image: str) -> None:
        """Into the node, once: which ones it has stands in a ConfigMap, which goes when the cluster goes."""
        shelf = ("configmap", "sluicegate-test-images", "--namespace=kube-system")
        self.cluster.kubectl("create", *shelf, check=False)
        key = re.sub(r"[^A-Za-z0-9._-]", "_", image)
        if key in json.loads(self.cluster.kubectl("get", *shelf, "-o", "json").stdout).get("data", {}):
            return
        loaded = subprocess.run(
            [self.shared / "load", image], env=dict(self.cluster.environment), capture_output=True, text=True, check=False
        )
        if loaded.returncode:
            raise UnavailableError(f"{image} was not loaded: {loaded.stderr.strip()[-800:]}")
        self.cluster.kubectl("patch", *shelf, "-p", json.dumps({"data": {key: image}}))


def expected(environ: Mapping[str, str] = os.environ, shared: Path = SHARED) -> bool:
    """Whether there ought to be a cluster here: CI fails when there is none then, and when a test of it is skipped."""
    return bool(environ.get(VARIABLE)) or (shared / "up").exists()


def bring_up(environ: Mapping[str, str] = os.environ, shared: Path = SHARED) -> Cluster:
    """The cluster, started if it is the shared one and does not run; UnavailableError says why there is none."""
    if named := environ.get(VARIABLE):
        cluster = Cluster({**environ, "KUBECONFIG": named})
    elif (shared / "up").exists():
        cluster = Cluster({**environ, **run_script(shared / "up", environ)}, shared=True)
    else:
        raise UnavailableError(ABSENT)
    cluster.kubectl("get", "--raw", "/readyz")
    return cluster


def bring_up_gateway(cluster: Cluster, shared: Path = SHARED) -> str:
    """Name of an accepted GatewayClass."""
    accepted = ("get", "gatewayclass", "envoy", "-o", "jsonpath={.status.conditions[?(@.type=='Accepted')].status}")
    if cluster.kubectl(*accepted, check=False).stdout != "True" and cluster.shared:
        run_script(shared / "up-gateway", cluster.environment)
    if cluster.kubectl(*accepted, check=False).stdout != "True":
        raise UnavailableError("the cluster has no accepted GatewayClass 'envoy': install Envoy Gateway")
    if cluster.shared:
        with _alone():
            _allow_lua(cluster)
    return "envoy"


def _allow_lua(cluster: Cluster) -> None:
    """What an administrator allows once, for the bucket that the edge computes; the controller reads it when it starts."""
    place = ("--namespace", "envoy-gateway-system")
    text = cluster.kubectl(
        "get", "configmap", "envoy-gateway-config", *place, "-o", "jsonpath={.data.envoy-gateway\\.yaml}"
    ).stdout
    settings = yaml.safe_load(text)
    if (settings.get("extensionApis") or {}).get("enableLua"):
        return
    settings["extensionApis"] = {**(settings.get("extensionApis") or {}), "enableLua": True}
    patch = json.dumps({"data": {"envoy-gateway.yaml": yaml.safe_dump(settings)}})
    cluster.kubectl("patch", "configmap", "envoy-gateway-config", *place, "--type", "merge", "-p", patch)
    cluster.kubectl("rollout", "restart", "deployment/envoy-gateway", *place)
    cluster.kubectl("rollout", "status", "deployment/envoy-gateway", *place, "--timeout=180s")


def run_script(script: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Run one of the shared scripts, one at a time on this machine, and return the variables that it exports."""
    with _alone():
        command = ["bash", "-c", 'eval "$("$0")" && env -0', str(script)]
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{script} failed ({done.returncode}): {done.stderr.strip()[-800:]}")
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)


@contextmanager
def _alone() -> Iterator[None]:
    """One process of this machine at a time."""
    with (Path(tempfile.gettempdir()) / "sluicegate-test-cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
