"""Why a version's servers are not ready, in one sentence, from what their pods tell."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluicegate.adapters.deployment_runtime.manifests import SERVER

Pod = Mapping[str, Any]


def why(deployment: Mapping[str, Any], pods: Sequence[Pod], log: str) -> str:
    """The first that has something to say; `log` is the end of what an unready server wrote."""
    told = [sentence for pod in pods if (sentence := _of(pod))]
    return spoken(log) or (told[0] if told else _refused(deployment) or "the server is starting")


def _refused(deployment: Mapping[str, Any]) -> str:
    """Why the cluster makes no pod of it: a quota, a policy, or no such service account."""
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"the cluster makes no pod: {condition.get('message', '')[:500]}"
    return ""


def spoken(log: str) -> str:
    """What the server itself said last about not serving."""
    for line in reversed(log.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("event") in ("unready", "stop", "ready"):
            return (
                "" if entry["event"] == "ready" or entry.get("message") == "told to stop" else str(entry.get("message", ""))[:500]
            )
    return ""


def unready(pods: Sequence[Pod]) -> Pod | None:
    """A pod whose server runs and says no, or has ended: one whose log is worth reading."""
    for pod in pods:
        state = next((c for c in pod.get("status", {}).get("containerStatuses", ()) if c["name"] == SERVER), None)
        if state is not None and not state["ready"] and (state.get("started") or state.get("restartCount")):
            return pod
    return None


def _of(pod: Pod) -> str:
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return next((told for c in containers if (told := _container(c))), "") or _unscheduled(status)


def _container(state: Mapping[str, Any]) -> str:
    """What a container that does not run says: its own last words before the kubelet's."""
    name = state["name"]
    for ended in (state.get("state", {}).get("terminated"), state.get("lastState", {}).get("terminated")):
        if ended and ended.get("reason") == "OOMKilled":
            return f"the container '{name}' was killed at its memory limit: raise serving.memory"
        if ended and ended.get("exitCode"):
            words = str(ended.get("message", "")).strip().splitlines()
            return (
                f"the container '{name}' ended with {ended['exitCode']}: {words[-1][:500] if words else ended.get('reason', '')}"
            )
    waiting = state.get("state", {}).get("waiting") or {}
    if waiting.get("reason") in (None, "PodInitializing", "ContainerCreating"):
        return ""
    return f"the container '{name}' waits ({waiting['reason']}): {str(waiting.get('message', ''))[:500]}"


def _unscheduled(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"no node takes the server: {condition.get('message', '')[:500]}"
    return ""
