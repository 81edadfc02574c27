"""Sluicegate in a namespace of the demo: the shipped manifests with a database that forgets, their Secrets, and the way to all of it.

Left out are what an administrator decides for a whole cluster (the admission policies) and the network policies: Airflow, users and
Prometheus come from outside of the cluster here, from addresses that no manifest can know.
"""

import base64
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sluicegate.errors import InputError, RefusedError, UnavailableError
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster
from sluicegate_demo.prometheus import PROXIES

KUBERNETES = PROJECT / "docker" / "kubernetes"
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION")
MARK = "sluicegate/demo"
"""Label of a namespace that may be deleted with all that is in it."""
READY_WITHIN_S = 300
PARTS = {
    "envoy": ("deployment/sluicegate-gateway",),
    "gateway-api": ("deployment/sluicegate-keeper", "gateway/sluicegate"),
}
"""What must be ready besides the database and the sweep, by router."""


def found_cluster() -> Cluster:
    """What KUBECONFIG points at; UnavailableError says what is missing."""
    if shutil.which("kubectl") is None:
        raise UnavailableError("there is no program `kubectl` on PATH: install it, the demo makes and watches everything with it")
    if not os.environ.get("KUBECONFIG"):
        raise UnavailableError("KUBECONFIG is not set: name the kubeconfig of a cluster that bears a demo, as its administrator")
    cluster = Cluster(dict(os.environ))
    cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=10s")
    return cluster


@dataclass(frozen=True)
class Installation:
    """One namespace, before and after it is made."""

    cluster: Cluster
    settings: Settings
    """With namespace, router, store and images; where things answer is known once they are there."""

    @property
    def namespace(self) -> str:
        return self.settings.namespace

    def check(self) -> None:
        """Refuse a router that could not work here, before anything is made."""
        router = self.settings.router
        if router not in PARTS:
            raise InputError(f"SLUICEGATE_ROUTER is '{router}': the demo goes through {' or '.join(PARTS)}")
        accepted = ("get", "gatewayclass", "envoy", "-o", "jsonpath={.status.conditions[?(@.type=='Accepted')].status}")
        if router == "gateway-api" and self.cluster.kubectl(*accepted, check=False).stdout != "True":
            raise UnavailableError(
                "the cluster has no accepted GatewayClass 'envoy': install Envoy Gateway 1.9 or newer and allow Lua "
                "(docs/kubernetes.md, Routers), or take SLUICEGATE_ROUTER=envoy"
            )

    def remove(self) -> None:
        """Nothing of the demo is left in the cluster; removing again changes nothing.

        RefusedError for a namespace that no demo has made: it may be anybody's, with all that is in it.
        """
        found = self._kubectl("get", "namespace", self.namespace, "--ignore-not-found", "-o", "json")
        if found and json.loads(found)["metadata"]["labels"].get(MARK) != "true":
            raise RefusedError(
                f"namespace '{self.namespace}' was not made by the demo, which would delete it: set SLUICEGATE_NAMESPACE to another"
            )
        self._kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=180s")
        for kind in ("rolebinding", "role"):
            self._kubectl("-n", PROXIES, "delete", kind, f"{self.namespace}-prometheus", "--ignore-not-found")

    def make(self, images: Mapping[str, str], prometheus_url: str) -> None:
        """Everything but Airflow, ready."""
        things = self._things(images, prometheus_url)
        spaces = [thing for thing in things if thing["kind"] == "Namespace"]
        for space in spaces:
            space["metadata"]["labels"][MARK] = "true"
        self.cluster.apply(spaces)
        password = secrets.token_urlsafe(18)
        self.cluster.apply([*self._secrets(password), *(thing for thing in things if thing["kind"] != "Namespace")])
        if self.settings.router == "gateway-api":
            self._let_proxies_be_found()
        ours = ("statefulset/sluicegate-postgresql", "deployment/sluicegate-mlflow", "deployment/sluicegate-sweep")
        for part in (*ours, *PARTS[self.settings.router]):
            self._wait(part)

    def addresses(self) -> dict[str, Any]:
        """Where journal, MLflow and the gateway answer from outside, as settings, and the gateway's URL under `gateway`."""
        password = self._get("secret/sluicegate-database", "{.data.password}")
        postgresql = self._get("pod/sluicegate-postgresql-0", "{.status.podIP}")
        return {
            "journal_url": f"postgresql+psycopg://sluicegate:{_plain(password)}@{postgresql}/journal",
            "mlflow_url": f"http://{self._get('service/sluicegate-mlflow', '{.spec.clusterIP}')}:5000",
            "gateway": f"http://{self._gateway()}",
        }

    def kubeconfig(self, account: str, folder: Path) -> Path:
        """A kubeconfig with the rights of one of the installation's accounts and no more, for some hours."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = Path(self.cluster.acting_as(account, self.namespace, folder).environment["KUBECONFIG"])
        path.chmod(0o600)
        return path

    def _gateway(self) -> str:
        if self.settings.router == "envoy":
            return self._get("service/sluicegate-gateway", "{.spec.clusterIP}")
        return self._get("gateway/sluicegate", "{.status.addresses[0].value}")

    def _things(self, images: Mapping[str, str], prometheus_url: str) -> list[dict[str, Any]]:
        parts = ("sweep", "watching", "database", "database/trial")
        more = (KUBERNETES / "routers" / self.settings.router, *(KUBERNETES / part for part in parts))
        things = self.cluster.rendered(KUBERNETES / "base", self.namespace, *more, images=images)
        for thing in things:
            if thing["kind"] == "ConfigMap" and thing["metadata"]["name"] == "sluicegate":
                thing["data"]["SLUICEGATE_PROMETHEUS_URL"] = prometheus_url
        return [thing for thing in things if thing["kind"] != "NetworkPolicy"]

    def _secrets(self, password: str) -> list[dict[str, Any]]:
        opened = {name: os.environ[name] for name in AWS if name in os.environ}
        told = {
            "SLUICEGATE_JOURNAL_URL": f"postgresql+psycopg://sluicegate:{password}@sluicegate-postgresql/journal",
            "SLUICEGATE_MLFLOW_URL": "http://sluicegate-mlflow:5000",
            "SLUICEGATE_STORE_URL": self.settings.store_url,
            "MLFLOW_ARTIFACTS_DESTINATION": f"{self.settings.store_url}/mlflow",
        }
        return [self._secret("sluicegate", {**told, **opened}), self._secret("sluicegate-database", {"password": password})]

    def _secret(self, name: str, content: Mapping[str, str]) -> dict[str, Any]:
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": dict(content)}

    def _let_proxies_be_found(self) -> None:
        """As docs/kubernetes.md says: Envoy Gateway's proxies are in another namespace."""
        name, account = f"{self.namespace}-prometheus", f"{self.namespace}:sluicegate-prometheus"
        role = ("create", "role", name, "--verb=get,list,watch", "--resource=pods")
        binding = ("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={account}")
        for command in (role, binding):
            self._kubectl("-n", PROXIES, *command)

    def _wait(self, part: str) -> None:
        patience = f"--timeout={READY_WITHIN_S}s"
        if part.startswith("gateway/"):
            self._kubectl("-n", self.namespace, "wait", "--for=condition=Programmed", part, patience)
        else:
            self._kubectl("-n", self.namespace, "rollout", "status", part, patience)

    def _get(self, thing: str, path: str) -> str:
        return self._kubectl("-n", self.namespace, "get", thing, "-o", f"jsonpath={path}")

    def _kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(*arguments).stdout


def _plain(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def api_server(cluster: Cluster) -> str:
    """Host of the API server, as the kubeconfig has it."""
    config = json.loads(cluster.kubectl("config", "view", "--minify", "-o", "json").stdout)
    return str(urlsplit(config["clusters"][0]["cluster"]["server"]).hostname)
