"""What a pod that works asks of its node, as a spec writes it. Where work runs in processes of this machine nothing of it applies."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sluicegate.domain.parts import Duration, Part

_CPU = re.compile(r"^(?:[1-9]\d*m|\d+(?:\.\d{1,3})?)$")
_BYTES = re.compile(r"^[1-9]\d*(?:Ki|Mi|Gi|Ti|k|M|G|T)$")
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_KEY = re.compile(r"^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
_VALUE = re.compile(r"^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
GPU = "nvidia.com/gpu"


def cores(value: Any) -> str:
    """Processor time: 2, 0.5 or 500m cores."""
    text = str(value)
    if isinstance(value, bool) or not _CPU.fullmatch(text) or not text.strip("0.m"):
        raise ValueError("processor time is a number of cores such as 2 or 0.5, or thousandths of one such as 500m")
    return text


def size(value: Any) -> str:
    """An amount of memory or disk with its unit."""
    if not _BYTES.fullmatch(str(value)):
        raise ValueError("an amount of memory or disk is a whole number with its unit, such as 512Mi or 4Gi")
    return str(value)


def in_bytes(size: str) -> int:
    """The amount that `size` lets pass."""
    number = size.rstrip("KMGTik")
    return int(number) * _UNITS[size.removeprefix(number)]


Cores = Annotated[str, BeforeValidator(cores)]
Size = Annotated[str, BeforeValidator(size)]


def node_labels(chosen: dict[str, str]) -> dict[str, str]:
    """Labels of nodes, as they may be written; ValueError for any other."""
    for key, value in chosen.items():
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise ValueError(f"{key!r}: {value!r} is no label of a node: letters, digits, '-', '_' and '.', at most 63 each")
    return chosen


class Toleration(Part):
    """A taint of nodes that the pod may run on all the same."""

    key: str = ""
    """Empty tolerates every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _plain(self) -> "Toleration":
        if self.key and not _KEY.fullmatch(self.key):
            raise ValueError("the key of a toleration is the name of a taint, such as nvidia.com/gpu")
        if not _VALUE.fullmatch(self.value):
            raise ValueError("the value of a toleration is at most 63 letters, digits, '-', '_' and '.'")
        if self.operator == "Exists" and self.value:
            raise ValueError("a toleration with operator Exists has no value: remove it, or write operator: Equal")
        if self.operator == "Equal" and not self.key:
            raise ValueError("a toleration without a key tolerates everything: write operator: Exists if that is meant")
        return self


class Resources(Part):
    """What one pod gets: asked for and, but for `cpu`, also its limit."""

    cpu: Cores = "0.5"
    """Cores that are kept for it; it may use more while nobody else wants them."""
    memory: Size = "2Gi"
    """It is killed above."""
    disk: Size = "4Gi"
    """Scratch space: snapshots, packages, temporary files. It is evicted above."""
    gpu: Annotated[int, Field(ge=0, le=16)] = 0
    gpu_name: str = GPU
    """What the cluster calls a GPU of the wanted kind, such as nvidia.com/gpu, nvidia.com/mig-1g.10gb or amd.com/gpu."""
    deadline: Annotated[Duration, Field(gt=0)] = 43200.0
    """It is stopped after so long, seconds, whoever watches: also when nobody does."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that may run it."""
    tolerations: tuple[Toleration, ...] = ()

    @field_validator("gpu_name")
    @classmethod
    def _resource(cls, name: str) -> str:
        if "/" not in name or not _KEY.fullmatch(name):
            raise ValueError(f"the name of a GPU resource has a domain before a slash, such as {GPU}")
        return name

    @field_validator("node_selector")
    @classmethod
    def _labels(cls, chosen: dict[str, str]) -> dict[str, str]:
        return node_labels(chosen)
