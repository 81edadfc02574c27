"""The bundle of fakes that the release actions need, on one virtual clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import StaleTokenError
from sluicegate.ports.registry import Record, Registered
from sluicegate.settings import Settings
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.incidents import MemoryIncidents
from sluicegate.testing.journal import MemoryJournal
from sluicegate.testing.meter import SyntheticMeter
from sluicegate.testing.router import MemoryRouter
from sluicegate.testing.runtime import MemoryRuntime


class AliasesOnly:
    """The part of the Registry port that a rollout touches: aliases, and a folder that stands for every package."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self.fences: dict[str, int] = {}

    def register(self, model: str, package: Path, tags: Mapping[str, str], record: Record | None = None) -> Registered:
        raise NotImplementedError("a rollout registers nothing")

    def versions(self, model: str) -> list[Registered]:
        return []

    def package(self, model: str, version: str) -> Path:
        return Path("packages") / model / version

    def alias(self, model: str, name: str, version: str | None, *, fence: int | None = None) -> None:
        if fence is not None and fence < self.fences.get(name, 0):
            raise StaleTokenError(f"alias '{name}' of '{model}' was written for event {self.fences[name]}, after event {fence}")
        self.fences[name] = fence if fence is not None else self.fences.get(name, 0)
        self.aliases.pop(name, None)
        if version is not None:
            self.aliases[name] = version

    def resolve(self, model: str, name: str) -> Registered | None:
        return Registered(model, self.aliases[name]) if name in self.aliases else None


@dataclass
class FakePorts:
    """Clock, journal, router, runtime, meter and registry of one world without processes."""

    model_spec: ModelSpec
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.journal = MemoryJournal(self.clock)
        self.router = MemoryRouter(self.clock.now)
        self.runtime = MemoryRuntime()
        self.meter = SyntheticMeter(self.clock, self.router)
        self.registry = AliasesOnly()
        self.incidents = MemoryIncidents()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the fake world of a rollout has no port '{name}': use the fake of that port itself")

    def spec(self, model: str) -> ModelSpec:
        return self.model_spec

    def register(self, version: str, *, release: bool = True, predicted: Mapping[str, Any] | None = None, **more: Any) -> None:
        """What the order `register` leaves in the journal."""
        data = {"version": version, "verdict": "promote", "release": release, "predicted": predicted, **more}
        self.journal.append(self.model_spec.model, "", Kind.REGISTERED, data, author="test")
