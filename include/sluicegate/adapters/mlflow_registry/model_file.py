"""The MLmodel file: what makes a package an MLflow model with signature and example, opened without pickle."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

WRITTEN_FOR = "3.17.2"
"""MLflow's version whose file this is. It is not asked of the installed package: the image of pods that register has none."""
TYPES = {"number": "double", "integer": "long", "string": "string", "boolean": "boolean", "timestamp": "string"}
"""Our input types -> MLflow's; a timestamp travels as ISO-8601 text."""


def model_file(package: Path, run_id: str) -> bytes:
    """MLmodel (YAML) for the package, which stands beside it in the folder `package`."""
    manifest = json.loads((package / "manifest.json").read_text())
    content = {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "data": "package",
                "loader_module": "sluicegate.adapters.mlflow_registry.flavor",
                "python_version": platform.python_version(),
            },
        },
        "metadata": {key: manifest[key] for key in ("model_hash", "snapshot_id", "code_digest") if key in manifest},
        "mlflow_version": WRITTEN_FOR,
        "run_id": run_id,
        "saved_input_example_info": {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"},
        "signature": {
            "inputs": json.dumps(_columns(manifest, _example_row(package))),
            "outputs": json.dumps([{"type": "double", "name": "score", "required": True}]),
        },
    }
    return yaml.safe_dump(content, sort_keys=True).encode()


def input_example(package: Path) -> bytes:
    """The first golden row as MLflow's split data frame (JSON)."""
    row = _example_row(package)
    return json.dumps({"columns": list(row), "data": [list(row.values())]}).encode()


def _example_row(package: Path) -> Mapping[str, Any]:
    golden = json.loads((package / "golden.json").read_text())
    row: Mapping[str, Any] = golden[0]["row"]
    return row


def _columns(manifest: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    inputs: Mapping[str, Any] = manifest.get("inputs", {})
    return [{"name": name, **_kind(inputs.get(name))} for name in row]


def _kind(field: Mapping[str, Any] | None) -> dict[str, Any]:
    if field is None:
        return {"type": "string", "required": True}  # request id, event time, user id
    return {"type": TYPES.get(str(field.get("type")), "string"), "required": bool(field.get("required", True))}
