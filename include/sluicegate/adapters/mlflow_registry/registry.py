"""The Registry port over MLflow.

A version is made in an order that a kill at any instant leaves sound: run, artifacts, and only then the model version, whose
tags are written with it. Two registrations of the same training at once both see both versions: the older one stays, the
younger is deleted.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sluicegate.adapters.mlflow_registry.fence import Fence
from sluicegate.adapters.mlflow_registry.model_file import input_example, model_file
from sluicegate.adapters.mlflow_registry.rest import AbsentError, PresentError, Rest
from sluicegate.errors import PackageError, RefusedError
from sluicegate.folders import child
from sluicegate.ports.registry import Record, Registered
from sluicegate.settings import Settings

MODEL, PACKAGE = "model", "model/package"
"""Artifact folders of a run: the MLflow model, and inside it the package as the model servers open it."""
SCHEME = "mlflow-artifacts:/"
PAGE = "1000"


class MlflowRegistry:
    """Implements the Registry port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rest = Rest(settings.mlflow)

    def register(self, model: str, package: Path, tags: Mapping[str, str], record: Record | None = None) -> Registered:
        """Register a package folder with its record; the same train_key tag gives the same version."""
        if "train_key" not in tags:
            raise RefusedError(f"the tags {sorted(tags)} of a version of '{model}' lack train_key: it is the version's identity")
        found = self._of_training(model, tags["train_key"])
        if not found:
            self._create(model, package, tags, record or Record())
            found = self._of_training(model, tags["train_key"])
            for younger in found[1:]:
                self._delete(younger)
        return self._retag(found[0], tags)

    def versions(self, model: str) -> list[Registered]:
        """All versions, oldest first."""
        return [_registered(raw) for raw in self._search(model)]

    def package(self, model: str, version: str) -> Path:
        """A local folder with the version's package, downloaded once, published whole."""
        target = child(child(self._settings.packages, model), version)
        if not target.is_dir():
            self._download(model, version, target)
        return target

    def alias(self, model: str, name: str, version: str | None, *, fence: int | None = None) -> None:
        """Point the alias at a version, or remove it (None); StaleTokenError when a larger fence was used for it before."""
        if fence is None:
            self._point(model, name, version)
        else:
            Fence(self._rest, model, name).write(fence, version, partial(self._point, model, name))

    def _point(self, model: str, name: str, version: str | None) -> None:
        if version is not None:
            self._rest.post("registered-models/alias", {"name": model, "alias": name, "version": version})
            return
        try:
            self._rest.delete("registered-models/alias", {"name": model, "alias": name})
        except AbsentError:
            return

    def resolve(self, model: str, name: str) -> Registered | None:
        """The version that the alias points at, or None."""
        try:
            aliases = self._rest.get("registered-models/get", name=model)["registered_model"].get("aliases", [])
            version = next((str(a["version"]) for a in aliases if a["alias"] == name), None)
            return None if version is None else _registered(self._get(model, version))
        except AbsentError:
            return None

    def _search(self, model: str) -> list[Any]:
        found: list[Any] = []
        query = {"filter": f"name='{model}'", "max_results": PAGE}
        while True:
            page = self._rest.get("model-versions/search", **query)
            found += page.get("model_versions", [])
            if not page.get("next_page_token"):
                return sorted(found, key=lambda raw: int(raw["version"]))
            query["page_token"] = page["next_page_token"]

    def _of_training(self, model: str, train_key: str) -> list[Registered]:
        return [v for v in self.versions(model) if v.tags.get("train_key") == train_key]

    def _get(self, model: str, version: str) -> Any:
        return self._rest.get("model-versions/get", name=model, version=version)["model_version"]

    def _create(self, model: str, package: Path, tags: Mapping[str, str], record: Record) -> None:
        run = self._open_run(model, tags, record)
        root = _below(run["artifact_uri"])
        for path in sorted(p for p in package.rglob("*") if p.is_file()):
            self._rest.upload(f"{root}/{PACKAGE}/{path.relative_to(package).as_posix()}", path.read_bytes())
        for name, path in record.files.items():
            self._rest.upload(f"{root}/{name}", path.read_bytes())
        self._rest.upload(f"{root}/{MODEL}/input_example.json", input_example(package))
        self._rest.upload(f"{root}/{MODEL}/MLmodel", model_file(package, run["run_id"]))
        self._suppress_present("registered-models/create", {"name": model})
        made = self._rest.post(
            "model-versions/create",
            {"name": model, "source": f"{run['artifact_uri']}/{MODEL}", "run_id": run["run_id"], "tags": _pairs(tags)},
        )
        version = str(made["model_version"]["version"])
        self._rest.post("runs/log-batch", {"run_id": run["run_id"], "tags": _pairs({"model_version": version})})
        self._rest.post("runs/update", {"run_id": run["run_id"], "status": "FINISHED", "end_time": _now_ms()})

    def _open_run(self, model: str, tags: Mapping[str, str], record: Record) -> Any:
        name = f"train {tags['train_key'][:8]}"
        opened = {"experiment_id": self._experiment(model), "run_name": name, "start_time": _now_ms(), "tags": _pairs(tags)}
        run = self._rest.post("runs/create", opened)["run"]["info"]
        at = _now_ms()
        metrics = [{"key": k, "value": v, "timestamp": at, "step": 0} for k, v in record.metrics.items()]
        self._rest.post("runs/log-batch", {"run_id": run["run_id"], "metrics": metrics, "params": _pairs(record.params)})
        return run

    def _experiment(self, model: str) -> str:
        self._suppress_present("experiments/create", {"name": model})
        return str(self._rest.get("experiments/get-by-name", experiment_name=model)["experiment"]["experiment_id"])

    def _suppress_present(self, path: str, body: Mapping[str, Any]) -> None:
        try:
            self._rest.post(path, body)
        except PresentError:
            return

    def _retag(self, found: Registered, tags: Mapping[str, str]) -> Registered:
        for key, value in tags.items():
            if found.tags.get(key) != value:
                tag = {"name": found.model, "version": found.version, "key": key, "value": value}
                self._rest.post("model-versions/set-tag", tag)
        return Registered(found.model, found.version, {**found.tags, **tags})

    def _delete(self, version: Registered) -> None:
        try:
            self._rest.delete("model-versions/delete", {"name": version.model, "version": version.version})
        except AbsentError:
            return

    def _download(self, model: str, version: str, target: Path) -> None:
        source = f"{_below(self._get(model, version)['source'])}/package"
        names = self._rest.files(source)
        if "manifest.json" not in names:
            raise PackageError(f"version {version} of '{model}' has no package in MLflow at '{source}': register it again")
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent))
        try:
            for name in names:
                self._rest.download(f"{source}/{name}", _inside(folder, name))
            _publish(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    folder.chmod(0o755)
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was faster with the same package
            raise


def _inside(folder: Path, name: str) -> Path:
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(folder):
        raise PackageError(f"the package holds a file named '{name}', which would be written outside of it: do not trust it")
    return path


def _below(uri: str) -> str:
    if not uri.startswith(SCHEME):
        raise RefusedError(f"MLflow keeps artifacts at '{uri}', not behind its own server: start it with --serve-artifacts")
    return uri.removeprefix(SCHEME).lstrip("/")


def _registered(raw: Mapping[str, Any]) -> Registered:
    tags = {str(t["key"]): str(t.get("value", "")) for t in raw.get("tags", [])}
    return Registered(str(raw["name"]), str(raw["version"]), tags)


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def _now_ms() -> int:
    return int(time.time() * 1000)
