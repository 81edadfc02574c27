"""The manifest of a model package: what the model is, and the digest of every other file in the folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from sluicegate.errors import PackageError

FORMAT = 1
MANIFEST = "manifest.json"
ONNX, FEATURES, SPEC, GOLDEN = "model.onnx", "features.py", "spec.yaml", "golden.json"
LATER = {"segments"}
"""Keys that older manifests do not have."""
NEEDED = (ONNX, FEATURES, SPEC, GOLDEN)


@dataclass(frozen=True)
class Manifest:
    """Everything about a packaged model but its numbers."""

    model: str
    estimator: str
    """Dotted class name, as in the spec."""
    task: str
    features: tuple[str, ...]
    """Names in the order of the ONNX input's columns."""
    threshold: float
    """Decision is positive when score >= threshold."""
    score_range: tuple[float, float]
    snapshot_id: str
    code_digest: str
    model_hash: str
    slow_bounds_ms: tuple[float, ...]
    """Latency bounds that the server counts slow requests against."""
    request_id: str
    event_time: str
    user_id: str
    """Names of the three fields in a request."""
    inputs: Mapping[str, Mapping[str, Any]]
    """Field name -> {type, required, min, max, values}, as in the spec."""
    files: Mapping[str, str]
    """Path below the folder -> SHA-256 (64 hex digits)."""
    format: int = FORMAT
    segments: tuple[str, ...] = ()
    """Inputs whose values the server counts apart."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json; PackageError when it is absent, no JSON, of another format, or lacks a key."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise PackageError(f"{path} cannot be read ({e}): a model package is a folder with {MANIFEST}; fetch it again") from e
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise PackageError(f"{path} has format {found!r}, this code reads format {FORMAT}: train the model again")
    names = {f.name for f in fields(Manifest)}
    absent, unknown = names - set(raw) - LATER, set(raw) - names
    if absent or unknown:
        raise PackageError(f"{path} lacks {sorted(absent)} and has unknown {sorted(unknown)}: train the model again")
    tuples = {name: tuple(raw[name]) for name in ("features", "score_range", "slow_bounds_ms", "segments") if name in raw}
    return Manifest(**{**raw, **tuples})


def read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Contents of every file that the manifest lists; PackageError when one is absent, altered or outside the folder."""
    for name in NEEDED:
        if name not in manifest.files:
            raise PackageError(f"{folder / MANIFEST} lists no {name}: the package is incomplete, train the model again")
    return {name: _checked(folder, name, expected) for name, expected in manifest.files.items()}


def digest(content: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def _checked(folder: Path, name: str, expected: str) -> bytes:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise PackageError(f"{folder / MANIFEST} lists '{name}', which is outside the package: do not use it")
    try:
        content = (folder / name).read_bytes()
    except OSError as e:
        raise PackageError(f"{folder / name} is listed in the manifest but cannot be read ({e}): fetch the package again") from e
    if digest(content) != expected:
        raise PackageError(f"{folder / name} was altered: its SHA-256 is {digest(content)}, not {expected}: fetch it again")
    return content
