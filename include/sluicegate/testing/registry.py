"""The fake registry: versions in memory, packages copied into a folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from sluicegate.errors import RefusedError, StaleTokenError
from sluicegate.ports.registry import Record, Registered


class MemoryRegistry:
    """Implements the Registry port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions: dict[str, list[Registered]] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self._fences: dict[tuple[str, str], int] = {}
        self.records: dict[tuple[str, str], Record] = {}
        """What was recorded with each (model, version)."""

    def register(self, model: str, package: Path, tags: Mapping[str, str], record: Record | None = None) -> Registered:
        if "train_key" not in tags:
            raise RefusedError(f"the tags {sorted(tags)} of a version of '{model}' lack train_key: it is the version's identity")
        known = self._versions.setdefault(model, [])
        for place, old in enumerate(known):
            if old.tags["train_key"] == tags["train_key"]:
                known[place] = Registered(model, old.version, {**old.tags, **tags})
                return known[place]
        made = Registered(model, str(len(known) + 1), dict(tags))
        shutil.copytree(package, self._folder / model / made.version)
        known.append(made)
        self.records[model, made.version] = record or Record()
        return made

    def versions(self, model: str) -> list[Registered]:
        return list(self._versions.get(model, []))

    def package(self, model: str, version: str) -> Path:
        self._find(model, version)
        return self._folder / model / version

    def alias(self, model: str, name: str, version: str | None, *, fence: int | None = None) -> None:
        newest = self._fences.get((model, name), 0)
        if fence is not None and fence < newest:
            raise StaleTokenError(f"alias '{name}' of '{model}' was written for event {newest}, after event {fence}")
        self._point(model, name, version)
        self._fences[model, name] = newest if fence is None else fence

    def _point(self, model: str, name: str, version: str | None) -> None:
        if version is None:
            self._aliases.pop((model, name), None)
            return
        self._aliases[model, name] = self._find(model, version).version

    def resolve(self, model: str, name: str) -> Registered | None:
        version = self._aliases.get((model, name))
        return None if version is None else self._find(model, version)

    def _find(self, model: str, version: str) -> Registered:
        for known in self._versions.get(model, []):
            if known.version == version:
                return known
        raise RefusedError(f"the registry has no version {version} of '{model}': register it first")
