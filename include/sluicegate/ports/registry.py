"""Model versions: packages with what they were made from, and the aliases champion and candidate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Registered:
    """One registered version."""

    model: str
    version: str
    """Number as text, e.g. "3"."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """At least model_hash, snapshot_id, train_key, code_digest; compare_key and verdict once compared."""


class Registry(Protocol):
    def register(self, model: str, package: Path, tags: Mapping[str, str]) -> Registered:
        """Register a package folder; the same train_key tag gives the same version, never two."""
        ...

    def versions(self, model: str) -> list[Registered]:
        """All versions, oldest first."""
        ...

    def package(self, model: str, version: str) -> Path:
        """A local folder with the version's package."""
        ...

    def alias(self, model: str, name: str, version: str | None) -> None:
        """Point the alias at a version, or remove it (None)."""
        ...

    def resolve(self, model: str, name: str) -> Registered | None:
        """The version that the alias points at, or None."""
        ...
