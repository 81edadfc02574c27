"""The Runtime port over Deployments."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate import kube
from sluicegate.adapters.deployment_runtime import manifests, troubles
from sluicegate.adapters.deployment_runtime.manifests import PACKAGE_MARK, PORT, VERSION_MARK, Version
from sluicegate.domain.route import Target
from sluicegate.domain.servers import Serving, refuse_names
from sluicegate.errors import RefusedError, SluicegateError
from sluicegate.ports.runtime import ServerStatus
from sluicegate.serving import depot
from sluicegate.settings import Settings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

DEPLOYMENT = ("apps/v1", "Deployment")
AUTOSCALER = ("autoscaling/v2", "HorizontalPodAutoscaler")
LOG_LINES = 20


class DeploymentRuntime:
    """Implements the Runtime port.

    Parameters
    ----------
    serving : what a model's spec says about its servers.
    """

    def __init__(self, settings: Settings, serving: Callable[[str], Serving]) -> None:
        self._settings, self._serving = settings, serving
        self._client: ApiClient | None = None

    def start(self, model: str, version: str, package: Path) -> Target:
        refuse_names(model, version)
        what = Version(model, version, depot.identity(package))
        found = self._deployment(what.name)
        if found is not None and _package(found) != what.package:
            raise RefusedError(
                f"version {version} of model '{model}' is served from another package ({_package(found)[:12]}): stop it"
            )
        depot.send(package, self._settings.store_url)
        serving = self._serving(model)
        owner = found or kube.apply(self._api, manifests.deployment(what, serving, self._settings))
        for thing in manifests.companions(what, self._settings):
            kube.apply(self._api, manifests.owned(thing, owner))
        if kube.read(self._api, *AUTOSCALER, self._settings.namespace, what.name) is None:
            kube.apply(self._api, manifests.owned(manifests.autoscaler(what, serving, self._settings, 1), owner))
        return self._target(version, what.name)

    def scale(self, model: str, version: str, servers: int) -> int:
        refuse_names(model, version)
        what = Version(model, version, "")
        found = self._deployment(what.name)
        if found is None:
            raise RefusedError(f"version {version} of model '{model}' has no server: deploy it first")
        least = manifests.autoscaler(what, self._serving(model), self._settings, servers)
        kube.apply(self._api, manifests.owned(least, found))
        if found["spec"].get("replicas", 1) < servers:  # at once: the autoscaler looks every 15 s only
            place = f"/apis/apps/v1/namespaces/{self._settings.namespace}/deployments/{what.name}"
            kube.request(self._api, "PATCH", place, {"spec": {"replicas": servers}}, content_type="application/merge-patch+json")
        return servers

    def status(self, model: str) -> list[ServerStatus]:
        mine = {**kube.labels("server"), "sluicegate/model": model}  # an empty name must not select everybody's
        return [self._status(model, d) for d in kube.listed(self._api, *DEPLOYMENT, self._settings.namespace, mine)]

    def stop(self, model: str, version: str) -> None:
        refuse_names(model, version)
        kube.remove(self._api, *DEPLOYMENT, self._settings.namespace, Version(model, version, "").name)

    @property
    def _api(self) -> "ApiClient":
        if self._client is None:
            self._client = kube.client(self._settings)
        return self._client

    def _deployment(self, name: str) -> dict[str, Any] | None:
        return kube.read(self._api, *DEPLOYMENT, self._settings.namespace, name)

    def _target(self, version: str, name: str) -> Target:
        return Target(version, f"{name}.{self._settings.namespace}.svc.cluster.local", PORT)

    def _status(self, model: str, found: Mapping[str, Any]) -> ServerStatus:
        meta, state = found["metadata"], found.get("status", {})
        target = self._target(meta["annotations"][VERSION_MARK], meta["name"])
        ready, wanted = int(state.get("readyReplicas", 0)), int(found["spec"].get("replicas", 1))
        detail = "" if ready >= wanted else self._why(found)
        running = ready > 0 or int(state.get("replicas", 0)) > 0
        return ServerStatus(model, target, running, ready > 0, detail, ready, wanted)

    def _why(self, deployment: Mapping[str, Any]) -> str:
        """Never raises: that a server is not ready is known, and only its reason is not."""
        try:
            pods = kube.listed(self._api, "v1", "Pod", self._settings.namespace, deployment["metadata"]["labels"])
            speaker = troubles.unready(pods)
            return troubles.why(deployment, pods, "" if speaker is None else self._log(speaker))
        except SluicegateError as e:
            return f"why is not known: {e}"

    def _log(self, pod: Mapping[str, Any]) -> str:
        return kube.log(self._api, self._settings.namespace, pod["metadata"]["name"], manifests.SERVER, LOG_LINES)


def _package(deployment: Mapping[str, Any]) -> str:
    return str(deployment["metadata"].get("annotations", {}).get(PACKAGE_MARK, ""))
