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


@dataclass(frozen=True)
class Record:
    """What is kept beside a version so that a person can see how it came about."""

    params: Mapping[str, str] = field(default_factory=dict)
    """What it was trained with."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured on the holdout; finite numbers."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Plots and reports: name in the registry (may hold slashes) -> local file."""


class Registry(Protocol):
    def register(self, model: str, package: Path, tags: Mapping[str, str], record: Record | None = None) -> Registered:
        """Register a package folder with its record.

        The same train_key tag gives the same version, never two; its other tags are brought up to date.
        """
        ...

    def versions(self, model: str) -> list[Registered]:
        """All versions, oldest first."""
        ...

    def package(self, model: str, version: str) -> Path:
        """A local folder with the version's package."""
        ...

    def alias(self, model: str, name: str, version: str | None, *, fence: int | None = None) -> None:
        """Point the alias at a version, or remove it (None).

        `fence` is the number of the journal's event that says so: StaleTokenError when the alias was written for a later event.
        """
        ...

    def resolve(self, model: str, name: str) -> Registered | None:
        """The version that the alias points at, or None."""
        ...
