"""The model servers of a version: what a spec asks for them, what they may be called, and how many a weight needs."""

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from sluicegate.domain.parts import NAME, Duration, Part
from sluicegate.domain.resources import Cores, Size, Toleration, node_labels
from sluicegate.domain.route import VERSION
from sluicegate.errors import RefusedError

READY_WITHIN_S = {"local": 60.0, "kubernetes": 300.0}
"""By profile: a node may have to fetch the image first."""


class Serving(Part):
    """Servers of one version, each a pod. Where servers are processes of this machine there is one, and nothing else of it applies."""

    servers: Annotated[int, Field(ge=1, le=500)] = 2
    """Least number that answers all traffic; a load that grows adds more."""
    most: Annotated[int, Field(ge=1, le=500)] = 10
    """Of one version; a candidate and a champion may both have so many."""
    cpu: Cores = "0.5"
    """Cores kept for each. It may use more while nobody else wants them: a limit would hold up answers."""
    memory: Size = "512Mi"
    """Of each; it is killed above, and comes back."""
    disk: Size = "2Gi"
    """Of each, for prediction logs on their way to the store: those of the last hour, and of as long as the store may be away."""
    busy: Annotated[int, Field(ge=10, le=95)] = 60
    """Percent of `cpu`, averaged over all servers of the version, above which one more is started."""
    ready_within: Annotated[Duration, Field(gt=0)] | None = None
    """Time in which a server must reproduce its golden outputs, seconds; None is a minute, in a cluster five."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that may run them."""
    tolerations: tuple[Toleration, ...] = ()

    @field_validator("node_selector")
    @classmethod
    def _labels(cls, chosen: dict[str, str]) -> dict[str, str]:
        return node_labels(chosen)

    @model_validator(mode="after")
    def _room(self) -> "Serving":
        if self.most < self.servers:
            raise ValueError(f"most ({self.most}) is less than servers ({self.servers}): allow at least as many")
        return self

    def patience(self, profile: str) -> float:
        """Seconds in which a server must be ready."""
        return READY_WITHIN_S[profile] if self.ready_within is None else self.ready_within


def servers_wanted(serving: Serving, *, weight: int, mirror: int, champion: int) -> int:
    """How many servers of the candidate a stage needs before it begins.

    Parameters
    ----------
    weight, mirror : percent of users that it answers, and percent of the others' requests that it gets as copies.
    champion : servers that the champion has; they are enough for all traffic, or it would have more.
    """
    share = weight + (100 - weight) * mirror / 100
    all_traffic = max(champion, serving.servers)
    return max(1, min(math.ceil(all_traffic * share / 100), serving.most))


def refuse_names(model: str, version: str) -> None:
    """RefusedError for a model or version that no spec and no registry could have named."""
    for what, name, allowed in (
        ("model", model, NAME.fullmatch(model)),
        ("version", version, VERSION.fullmatch(version)),
    ):
        if not allowed:
            raise RefusedError(
                f"{name[:80]!r} is no name of a {what}: letters, digits and '_' alone, so nothing is started for it"
            )
