"""Route objects on the API server: read, written whole against the version that was read, listed, deleted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sluicegate import kube

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Thing = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of object."""

    api_version: str
    kind: str
    plural: str


class Objects(Protocol):
    """All objects of one kind that are ours, in one namespace."""

    def get(self, name: str) -> Thing | None:
        """The object now; None when there is none."""
        ...

    def put(self, thing: Thing) -> None:
        """Create it when it has no `metadata.resourceVersion`, else replace it at that version; ConflictError when that is over."""
        ...

    def listed(self) -> list[Thing]:
        """All of them, perhaps some milliseconds old: what is then put on them meets the version check."""
        ...

    def delete(self, name: str) -> None:
        """Deleting again changes nothing."""
        ...


class KubeObjects:
    """Objects on the API server. Lists come from its cache, so that asking several times a second costs it little."""

    def __init__(self, api: "Callable[[], ApiClient]", kind: Kind, namespace: str) -> None:
        self._api, self._kind, self._namespace = api, kind, namespace
        group = "apis" if "/" in kind.api_version else "api"
        self._place = f"/{group}/{kind.api_version}/namespaces/{namespace}/{kind.plural}"

    def get(self, name: str) -> Thing | None:
        return kube.read(self._api(), self._kind.api_version, self._kind.kind, self._namespace, name)

    def put(self, thing: Thing) -> None:
        """Lists are replaced whole by a merge patch: nothing of the old route remains in the new one."""
        whole = {**thing, "apiVersion": self._kind.api_version, "kind": self._kind.kind}
        query = {"fieldManager": kube.FIELD_MANAGER}
        if "resourceVersion" not in thing["metadata"]:
            kube.request(self._api(), "POST", self._place, whole, query)
        else:
            path = f"{self._place}/{thing['metadata']['name']}"
            kube.request(self._api(), "PATCH", path, whole, query, "application/merge-patch+json")

    def listed(self) -> list[Thing]:
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in OURS.items()), "resourceVersion": "0"}
        found: list[Thing] = kube.request(self._api(), "GET", self._place, query=query)["items"]
        return found

    def delete(self, name: str) -> None:
        kube.remove(self._api(), self._kind.api_version, self._kind.kind, self._namespace, name)


OURS: Mapping[str, str] = kube.labels("gateway")
