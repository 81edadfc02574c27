"""Pods of orders: one of a name at a time, whoever asks for it and however often."""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from sluicegate import kube
from sluicegate.domain.pod import Job
from sluicegate.domain.pod_fate import ended, leaving
from sluicegate.domain.pod_refusal import refusal, waits
from sluicegate.errors import RefusedError, UnavailableError
from sluicegate.settings import Settings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

TRIES, PAUSE_S = 20, 0.5
"""How often, and after how many seconds, a name is tried again that an ended pod is just giving back."""


@dataclass(frozen=True)
class Claim:
    """Who has the pod of this name now."""

    state: Literal["started", "found", "taken", "full"]
    """started or found: it carries out this order; taken: what is there must end first; full: the quota has no room for it."""
    message: str = ""


class OrderPods:
    """Starts and removes the pods of one namespace."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _api(self) -> "ApiClient":
        return kube.client(self._settings)

    def claim(self, job: Job, body: kube.Thing) -> Claim:
        """Have the order's pod: the one that is there, or a new one made of `body`. A pod that has ended makes room.

        Raises RefusedError, with the remedy, when the cluster takes no such pod.
        """
        for _ in range(TRIES):
            there = kube.read(self._api, "v1", "Pod", self._settings.namespace, job.name)
            if there is None:
                try:
                    self._create(job, body)
                except kube.ConflictError:
                    continue  # somebody was faster: look at it
                except RefusedError as e:
                    return self._refused(job, e)
                return Claim("started")
            if not ended(there):
                return _standing(there, job)
            self.remove(there)
            time.sleep(PAUSE_S)
        raise UnavailableError(f"the ended pod {job.name} does not go: see 'kubectl describe pod {job.name}'")

    def remove(self, pod: kube.Thing) -> None:
        """Delete this pod, as somebody saw it: one that has its name by now is left alone. Deleting again changes nothing."""
        meta = pod["metadata"]
        kube.remove(self._api, "v1", "Pod", self._settings.namespace, meta["name"], meta["uid"])

    def clear(self, job: Job) -> None:
        """Delete what is left of an order that has its result; a pod that carries out another order under its name is left alone."""
        there = kube.read(self._api, "v1", "Pod", self._settings.namespace, job.name)
        if there is not None and _carries(there, job):
            self.remove(there)

    def plain(self, pod: Any) -> dict[str, Any]:
        """An object of the official client as its manifest."""
        found: dict[str, Any] = self._api.sanitize_for_serialization(pod)
        return found

    def _create(self, job: Job, body: kube.Thing) -> None:
        if body["metadata"]["name"] != job.name:
            raise RefusedError(
                f"a pod named {body['metadata']['name']} cannot carry out the order of {job.name}: the name is the lock"
            )
        kube.request(self._api, "POST", f"/api/v1/namespaces/{self._settings.namespace}/pods", body)

    def _refused(self, job: Job, error: RefusedError) -> Claim:
        sentence = refusal(str(error), job, self._settings.namespace)
        if waits(str(error)):
            return Claim("full", sentence)
        raise RefusedError(sentence) from error


def _standing(there: kube.Thing, job: Job) -> Claim:
    """Of a pod that has not ended."""
    if leaving(there):
        return Claim("taken", f"pod {job.name} is being deleted: waiting until it is gone")
    if not _carries(there, job):
        return Claim("taken", f"pod {job.name} still carries out an earlier try: waiting for its end")
    return Claim("found", f"pod {job.name} carries out this order already: following it")


def _carries(there: kube.Thing, job: Job) -> bool:
    found: bool = there["metadata"].get("labels", {}).get("sluicegate/order") == kube.label(job.order.key)
    return found
