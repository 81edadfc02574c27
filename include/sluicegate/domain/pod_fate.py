"""What became of a pod, from what the cluster says of it: one sentence with the remedy, and whether another try may help.

Pods are mappings as the API server gives them. That the work is done is never read from them: only the committed result says so.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sluicegate.domain.pod import CONTAINER, SECRET, UNTIL_SCHEDULED_S, UNTIL_STARTED_S, Job

Pod = Mapping[str, Any]
SKIP = 99
"""Exit code of work that has nothing to do."""
_SIGNALS = 128
_PULLING = ("ErrImagePull", "ImagePullBackOff")
_WRONG_IMAGE = ("InvalidImageName", "ErrImageNeverPull")
_NO_IMAGE = re.compile(r"not found|does not exist|denied|unauthorized|forbidden|no such host|manifest unknown", re.IGNORECASE)
_OWN_DISK = re.compile(r"exceeds the (total )?limit")
AGAIN = ("UnavailableError", "UnfinishedError")
"""Errors after which the same may be asked for again."""
_PREEMPTION = re.compile(r"\.? (no new claims to deallocate|preemption: ).*")
"""What the scheduler adds to every sentence: why it pushed nobody aside."""
_LONGEST = 600
"""Characters of somebody else's words in a sentence of ours."""


class End(StrEnum):
    """Why there is no result."""

    SKIPPED = "skipped"
    FAILED = "failed"
    """The work says itself why."""
    CRASHED = "crashed"
    KILLED = "killed"
    MEMORY = "memory"
    DISK = "disk"
    DEADLINE = "deadline"
    EVICTED = "evicted"
    PREEMPTED = "preempted"
    DELETED = "deleted"
    NODE = "node"
    UNSCHEDULABLE = "unschedulable"
    NOT_STARTED = "not_started"
    IMAGE = "image"
    CONFIG = "config"
    UNCOMMITTED = "uncommitted"


@dataclass(frozen=True)
class Fate:
    """How a pod ended without a result."""

    kind: End
    message: str
    again: bool
    """Whether the same order may succeed in another pod, with nothing changed."""
    error: str = ""
    """Name of the error that the work failed with, where it could say so."""


def leaving(pod: Pod) -> bool:
    """Whether somebody has asked for its end: it is still there, for the grace period."""
    return "deletionTimestamp" in pod["metadata"]


def ended(pod: Pod) -> bool:
    """Whether its container runs no more and will not start again."""
    return _phase(pod) in ("Succeeded", "Failed") or "terminated" in _state(pod)


def running(pod: Pod) -> bool:
    return "running" in _state(pod)


def hopeless(pod: Pod, job: Job, now: float) -> Fate | None:
    """Why a pod that has not started yet never will, or not in time; None while it may."""
    if _phase(pod) != "Pending" or ended(pod):
        return None
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "True":
        waited = now - _time(pod["metadata"]["creationTimestamp"])
        return _no_node(job, str(scheduled.get("message", "")), waited) if waited >= UNTIL_SCHEDULED_S else None
    return _not_started(job, _state(pod).get("waiting", {}), now - _time(scheduled["lastTransitionTime"]))


def _not_started(job: Job, waiting: Mapping[str, Any], waited: float) -> Fate | None:
    """Of a pod that has its node, and waits for its container."""
    reason, said = str(waiting.get("reason", "")), _short(waiting.get("message", ""))
    late, pulling = waited >= UNTIL_STARTED_S, reason in _PULLING
    if reason in _WRONG_IMAGE or (pulling and (late or _NO_IMAGE.search(said))):
        sentence = (
            f"its image cannot be pulled ({reason}: {said}): see that SLUICEGATE_IMAGE_WORK names an image that the nodes can get"
        )
        return _fate(End.IMAGE, job, sentence, again=False)
    if reason == "CreateContainerConfigError":
        return _fate(End.CONFIG, job, f"its container cannot be made ({said}): {_remedy(said)}", again=False)
    if late:
        why = f"{reason}: {said}" if said else reason or "no reason given"
        sentence = f"its container has not started {UNTIL_STARTED_S} s after a node was found ({why}): see the events of the pod"
        return _fate(End.NOT_STARTED, job, sentence, again=True)
    return None


def waits_for(pod: Pod) -> str:
    """What a pod that has not started is waiting for, for people who wait too."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "True":
        return f"a node: {_bare(scheduled.get('message', '')) or 'nobody has looked for one yet'}"
    waiting = _state(pod).get("waiting", {})
    return _short(": ".join(str(waiting[part]) for part in ("reason", "message") if waiting.get(part))) or "its container"


def fate(pod: Pod | None, job: Job, last: Pod | None = None) -> Fate:
    """Why a pod that has ended, or is gone, left no result.

    Parameters
    ----------
    pod : mapping or None
        As it is now; None when it is gone.
    last : mapping or None
        As it was when it was last seen.
    """
    seen = pod if pod is not None else last
    if seen is None:
        return _deleted(job)
    stopped = _state(seen).get("terminated", {})
    code, words = stopped.get("exitCode"), str(stopped.get("message") or "")
    if code == SKIP:
        return _fate(End.SKIPPED, job, f"it has nothing to do (exit code {SKIP}): {_last(words) or 'see its log'}", again=False)
    said = _own_words(words) if code else None
    if said is not None:
        kind, message = said
        return Fate(End.FAILED, f"{_whose(job)} failed: {message}", kind in AGAIN, kind)
    by_the_cluster = _ended_by_the_cluster(seen, job, stopped)
    if by_the_cluster is not None:
        return by_the_cluster
    if pod is None or leaving(seen):
        return _deleted(job)
    return _ended_by_itself(job, stopped, words)


def _ended_by_the_cluster(pod: Pod, job: Job, stopped: Mapping[str, Any]) -> Fate | None:
    """Limits, nodes and other people's pods."""
    reason, message = str(pod["status"].get("reason", "")), _short(pod["status"].get("message", ""))
    asked = job.resources
    if stopped.get("reason") == "OOMKilled":
        sentence = f"it was killed at its memory limit of {asked.memory}: raise {job.key('memory')}"
        return _fate(End.MEMORY, job, sentence, again=False)
    if reason == "DeadlineExceeded":
        sentence = f"it was stopped at its deadline of {asked.deadline:g} s: raise {job.key('deadline')}, or give it more cpu"
        return _fate(End.DEADLINE, job, sentence, again=False)
    if reason == "Evicted" and _OWN_DISK.search(message):
        sentence = f"it was evicted at its disk limit of {asked.disk} ({message}): raise {job.key('disk')}"
        return _fate(End.DISK, job, sentence, again=False)
    if reason == "Evicted":
        return _fate(End.EVICTED, job, f"it was evicted by its node ({message}): another pod starts again", again=True)
    return _disrupted(pod, job) or (_lost(job, reason, message) if reason else None)


def _disrupted(pod: Pod, job: Job) -> Fate | None:
    target = _condition(pod, "DisruptionTarget")
    if target.get("status") != "True":
        return None
    message = _short(target.get("message", ""))
    if target.get("reason") == "PreemptionByScheduler":
        return _fate(
            End.PREEMPTED, job, f"it made way for a pod of higher priority ({message}): another pod starts again", again=True
        )
    if target.get("reason") == "EvictionByEvictionAPI":
        sentence = f"it was evicted, as when a node is drained ({message}): another pod starts again"
        return _fate(End.EVICTED, job, sentence, again=True)
    return _lost(job, str(target.get("reason")), message)


def _lost(job: Job, reason: str, message: str) -> Fate:
    return _fate(End.NODE, job, f"its node could not keep it ({reason}: {message}): another pod starts again", again=True)


def _ended_by_itself(job: Job, stopped: Mapping[str, Any], words: str) -> Fate:
    code = stopped.get("exitCode", 0)
    last = _last(words)
    if not code:
        sentence = "it ended well, but its result is not in the store: give the pod and Airflow the same SLUICEGATE_STORE_URL"
        return _fate(End.UNCOMMITTED, job, sentence, again=False)
    if stopped.get("reason") in ("StartError", "ContainerCannotRun"):
        sentence = f"its image cannot start it ({_short(words)}): see that SLUICEGATE_IMAGE_WORK names our image for work"
        return _fate(End.IMAGE, job, sentence, again=False)
    if code > _SIGNALS:
        sentence = f"it was killed by signal {code - _SIGNALS}: another pod starts again"
        return _fate(End.KILLED, job, sentence, again=True)
    sentence = f"it ended with exit code {code} and gave no reason (last words: {last or 'none'}): see its log"
    return _fate(End.CRASHED, job, sentence, again=False)


def _no_node(job: Job, message: str, waited: float) -> Fate:
    asked, key = job.resources, job.key
    remedies = {
        f"Insufficient {asked.gpu_name}": f"free or add a GPU, or lower {key('gpu')} ({asked.gpu})",
        "Insufficient memory": f"free or add memory, or lower {key('memory')} ({asked.memory})",
        "Insufficient cpu": f"free or add cores, or lower {key('cpu')} ({asked.cpu})",
        "Insufficient ephemeral-storage": f"free or add disk, or lower {key('disk')} ({asked.disk})",
        "node affinity/selector": f"label a node, or change {key('node_selector')} ({asked.node_selector})",
        "untolerated taint": f"remove the taint, or tolerate it in {key('tolerations')}",
        "were unschedulable": "uncordon a node, or add one",
    }
    todo = next((remedy for sign, remedy in remedies.items() if sign in message), f"add a node, or ask for less in {job.where}")
    return _fate(End.UNSCHEDULABLE, job, f"no node took it in {waited / 60:.0f} minutes ({_bare(message)}): {todo}", again=False)


def _remedy(said: str) -> str:
    if f'secret "{SECRET}" not found' in said:
        return f"create the Secret '{SECRET}' with SLUICEGATE_JOURNAL_URL, SLUICEGATE_MLFLOW_URL and what opens the store"
    return "see that the image and the Secret are ours"


def _deleted(job: Job) -> Fate:
    return _fate(End.DELETED, job, "it was deleted before it committed a result: another pod starts again", again=True)


def _own_words(message: str) -> tuple[str, str] | None:
    """Kind and message of the error that the work left as its termination message."""
    try:
        said = json.loads(message)
        return str(said["kind"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        return None


def _fate(kind: End, job: Job, what: str, *, again: bool) -> Fate:
    return Fate(kind, f"{_whose(job)} has no result: {what}", again)


def _whose(job: Job) -> str:
    name = job.order.inputs.get("verb") if job.order.action == "release" else job.order.action
    return f"pod {job.name} ('{name}' of model '{job.order.model}')"


def _phase(pod: Pod) -> str:
    return str(pod["status"].get("phase", ""))


def _state(pod: Pod) -> Mapping[str, Any]:
    """State of the container that works: {waiting | running | terminated: {...}}; empty while there is none."""
    statuses = pod["status"].get("containerStatuses") or []
    return next((status.get("state") or {} for status in statuses if status["name"] == CONTAINER), {})


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    found = (condition for condition in pod["status"].get("conditions") or [] if condition["type"] == kind)
    return next(found, {})


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _last(words: str) -> str:
    """The last line that says anything."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return _short(lines[-1]) if lines else ""


def _short(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _bare(message: str) -> str:
    return _PREEMPTION.sub("", _short(message))
