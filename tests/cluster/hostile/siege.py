"""An installation under siege: its neighbours, what everything looks like from outside, and the roles that hostile names are given to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

from sluicegate import kube
from sluicegate.adapters.deployment_runtime import manifests
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job, manifest
from sluicegate.domain.resources import Resources
from sluicegate.domain.servers import Serving
from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.waiting import wait_until

KINDS = "pods,deployments,services,configmaps,secrets,serviceaccounts,hpa,pdb,networkpolicies,httproutes,envoyextensionpolicies"
KUBERNETES = PROJECT / "docker" / "kubernetes"
IMAGE = "registry.example/sluicegate@sha256:" + "a" * 64
NOWHERE = {"sluicegate.test/no": "node"}
"""No node has this label: what is made here is only looked at."""
ASKED = Resources(node_selector=NOWHERE)
SERVING = Serving(servers=1, node_selector=NOWHERE)
KEYS = ("results/committed/a", "orders/a/order.json", "landing/flights/a.csv", "data/flights/batches/committed/a")
VERSION = manifests.Version("flights", "1", "d" * 64)
QUIET = ("default", "kube-public", "kube-node-lease")
"""Namespaces in which nobody makes or deletes anything while tests run."""


@dataclass(frozen=True)
class Siege:
    """Our namespace and prefix, with a model's objects in it, and neighbours that have the very same ones."""

    cluster: Cluster
    ours: Settings
    neighbours: Settings
    folder: Path

    def prepare(self) -> None:
        """Accounts and rights of both routers here; here and next door a server, a route and a pod of the model `flights`."""
        for router in ("gateway-api", "envoy"):
            things = self.cluster.rendered(KUBERNETES / "base", self.ours.namespace, KUBERNETES / "routers" / router)
            self.cluster.apply([t for t in things if t["kind"] in ("ServiceAccount", "Role", "RoleBinding")])
        self.cluster.apply(
            [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("sluicegate-work", self.neighbours)}]
        )
        for settings in (self.ours, self.neighbours):
            wait_until(partial(self._takes, _things(settings)), 60.0)
            files, root = _files(settings.store_url)
            files.pipe({f"{root}/{name}": b"a" for name in KEYS})

    @contextmanager
    def acting(self, role: str) -> Iterator[None]:
        """What is connected in this block has the rights of the role, and no more."""
        with pytest.MonkeyPatch.context() as patch:
            acting = self.cluster.acting_as(f"sluicegate-{role}", self.ours.namespace, self.folder)
            patch.setenv("KUBECONFIG", acting.environment["KUBECONFIG"])
            yield

    @contextmanager
    def unharmed(self, marks: frozenset[str] = frozenset()) -> Iterator[None]:
        """What there was is as it was afterwards, and nothing new is outside.

        Parameters
        ----------
        marks : texts that only objects made in this block bear; in other people's namespaces nothing else can be told apart.
        """
        before = self._objects(marks) | self._keys()
        yield
        after = self._objects(marks) | self._keys()
        assert before - after == set(), "changed or gone"
        assert {one for one in after - before if not self._is_ours(one)} == set(), "made outside"

    def _takes(self, things: list[dict[str, Any]]) -> bool:
        """Whether the API server takes them: it hears of a new service account a moment late."""
        try:
            self.cluster.apply(things)
        except UnavailableError as e:
            if "service account" in str(e):
                return False
            raise
        return True

    def harm(self, change: str) -> None:
        """What must be noticed."""
        files, root = _files(self.neighbours.store_url)
        place = ("--namespace", self.neighbours.namespace, "configmap")
        harms: dict[str, Callable[[], Any]] = {
            "an object is made": lambda: self.cluster.kubectl("create", *place, "new"),
            "an object is changed": lambda: self.cluster.kubectl("label", *place, "new", "a=b"),
            "a key is made": lambda: files.pipe(f"{root}/new", b"a"),
            "a key is gone": lambda: files.rm(f"{root}/new"),
        }
        harms[change]()

    def _is_ours(self, one: tuple[str, ...]) -> bool:
        return one[0] == self.ours.namespace or one[0].startswith(f"{self.ours.store_url.removeprefix('s3://')}/")

    def _objects(self, marks: frozenset[str]) -> set[tuple[str, ...]]:
        """Namespace, kind, name, identity and content of each."""
        everything = json.loads(self.cluster.kubectl("get", KINDS, "--all-namespaces", "-o", "json").stdout)["items"]
        known = (*QUIET, self.ours.namespace, self.neighbours.namespace)
        found = set()
        for thing in everything:
            meta = thing["metadata"]
            content = json.dumps([meta.get("labels"), meta.get("generation"), thing.get("data")])
            if meta["namespace"] in known or any(mark in f"{meta['name']} {content}" for mark in marks):
                found.add((meta["namespace"], thing["kind"], meta["name"], meta["uid"], content))
        return found

    def _keys(self) -> set[tuple[str, ...]]:
        """Key and digest of each object of the store, here and next door."""
        files, root = _files(self.ours.store_url.rpartition("/")[0])
        return {(name, str(told["ETag"])) for name, told in files.find(root, detail=True).items()}


def _files(url: str) -> tuple[Any, str]:
    files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return files, root


def _meta(name: str, settings: Settings) -> dict[str, Any]:
    return {"name": name, "namespace": settings.namespace}


def _job() -> Job:
    return Job(Order("train", "flights", {"snapshot_id": "s1"}), "s3://b/orders/k/order.json", ASKED, "resources")


def _things(settings: Settings) -> list[dict[str, Any]]:
    server = manifests.deployment(VERSION, SERVING, settings)
    server["spec"]["replicas"] = 0
    route = {**_meta(kube.named("flights", "route"), settings), "labels": kube.labels("gateway", model="flights")}
    return [
        manifest(_job(), settings),
        server,
        manifests.service(VERSION, settings),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": route, "data": {"route": "none"}},
    ]
