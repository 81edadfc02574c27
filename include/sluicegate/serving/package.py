"""The model package: a folder that everybody scores through, written once, checked whenever it is opened, never unpickled."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.errors import PackageError, SpecError
from sluicegate.serving.features import Features, Row
from sluicegate.serving.manifest import FEATURES, GOLDEN, MANIFEST, ONNX, SPEC, Manifest, digest, read_files, read_manifest
from sluicegate.serving.onnx_scorer import OnnxScorer

if TYPE_CHECKING:
    from sluicegate.domain.spec import ModelSpec

LEAST_GOLDEN = 20
"""Rows whose scores a package carries, so that a server can prove that it scores as the training did."""
GOLDEN_TOLERANCE = 1e-5
"""Accepted distance from a golden score, relative to max(1, |score|): float32 on another processor."""
_CHUNK = 50_000
"""Rows scored in one call of the ONNX runtime."""


class Model:
    """An opened package. Its features.py was loaded for it alone, so whatever state that keeps is this object's."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes], folder: Path) -> None:
        self.manifest = manifest
        self.folder = folder
        self._source = files[FEATURES]
        self._golden = files[GOLDEN]
        features = self._features()
        self._pack = features.pack
        self.value = features.value if features.has_value else None
        """Business value of one answer: (row, decision) -> finite number, else SpecError; None when features.py tells none."""
        self._onnx = OnnxScorer(files[ONNX], len(manifest.features), folder / ONNX)
        self._threshold = manifest.threshold

    def score_row(self, row: Row) -> float:
        """Score of one raw row.

        Raises
        ------
        SpecError
            features.py fails on the row or returns something else than the model's features as numbers.
        PackageError
            The model gives no finite number.
        """
        return self._score(self._pack(row), row)

    def score_rows(self, rows: Iterable[Row]) -> NDArray[np.float64]:
        """Scores of raw rows, shape (rows,), features row by row in the order given; raises as `score_row`."""
        return np.concatenate([np.empty(0), *(self._batch(chunk) for chunk in _chunks(rows))])

    def decide(self, score: float) -> bool:
        """Whether the decision on this score is positive."""
        return score >= self._threshold

    @property
    def golden(self) -> list[dict[str, Any]]:
        """[{row, score, decision}, ...] as written by the training."""
        golden: list[dict[str, Any]] = json.loads(self._golden)
        return golden

    def check_golden(self, prepare: Callable[[Row], Row] = lambda row: row) -> None:
        """Score the golden rows through a fresh load of features.py; PackageError names the first row that differs.

        A server gives its own way from a request to a row as `prepare`.
        """
        fresh = self._features().pack
        for number, entry in enumerate(self.golden):
            row = prepare(entry["row"])
            score, expected = self._score(fresh(row), row), entry["score"]
            if abs(score - expected) > GOLDEN_TOLERANCE * max(1.0, abs(expected)):
                raise PackageError(
                    f"golden row {number} of {self.folder} scores {score!r}, not {expected!r} as in training: do not serve it"
                )
            self._check_decision(number, score, entry)

    def _check_decision(self, number: int, score: float, entry: Mapping[str, Any]) -> None:
        close = abs(score - self._threshold) <= GOLDEN_TOLERANCE * max(1.0, abs(score))
        if not close and self.decide(score) is not entry["decision"]:
            raise PackageError(
                f"golden row {number} of {self.folder} is decided {self.decide(score)}, not {entry['decision']} as in training: "
                "do not serve it"
            )

    def _score(self, packed: bytes, row: Row) -> float:
        score = self._onnx.one(packed)
        if score - score != 0.0:  # NaN or infinite
            raise PackageError(f"the model gives {score} for row {row.get(self.manifest.request_id)!r}: it cannot be served")
        return score

    def _batch(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        scores = self._onnx.many(b"".join(map(self._pack, rows)))
        if not np.isfinite(scores).all():
            worst = int(np.flatnonzero(~np.isfinite(scores))[0])
            name = rows[worst].get(self.manifest.request_id)
            raise PackageError(f"the model gives {scores[worst]} for row {name!r}: it cannot be served")
        return scores

    def _features(self) -> Features:
        manifest = self.manifest
        return Features(self._source, self.folder / FEATURES, manifest.features, manifest.request_id)


def load_package(folder: Path) -> Model:
    """Open a package folder.

    Raises
    ------
    PackageError
        The manifest is wrong, a file is absent or altered, features.py cannot be loaded, or the ONNX model does not fit.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        return Model(manifest, read_files(folder, manifest), folder)
    except SpecError as e:
        raise PackageError(f"the package {folder} cannot be used: {e}") from e


def write_package(
    folder: Path,
    *,
    spec_source: Path,
    features_source: Path,
    features: Sequence[str],
    onnx_bytes: bytes,
    golden_rows: Sequence[Row],
    snapshot_id: str,
    code_digest: str,
    model_hash: str,
    native: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a package, open it and return it. Same arguments, same bytes. The manifest is written last.

    Parameters
    ----------
    folder : made when absent; files of the same name are replaced.
    spec_source, features_source : the model's spec.yaml and features.py; threshold, bounds, inputs ... come from the spec.
    features : names in the order of the ONNX input's columns.
    onnx_bytes : one float32 input [n, features], one output [n].
    golden_rows : at least LEAST_GOLDEN raw rows as requests carry them; they are scored here, through the package itself.
    native : file name (e.g. "native.ubj") -> content of the library's own pickle-free form.

    Raises
    ------
    PackageError
        Too few golden rows, an ONNX model of another shape, or golden rows that cannot be scored.
    SpecError
        The spec is wrong.
    """
    if len(golden_rows) < LEAST_GOLDEN:
        raise PackageError(f"{len(golden_rows)} golden rows for {folder} are too few: give at least {LEAST_GOLDEN}")
    files = {SPEC: spec_source.read_bytes(), FEATURES: features_source.read_bytes(), ONNX: onnx_bytes, GOLDEN: b"[]"}
    files |= native or {}
    identity = _Identity(snapshot_id, code_digest, model_hash)
    manifest = _manifest(_spec(files[SPEC], str(spec_source)), features, identity)
    files[GOLDEN] = _golden(Model(manifest, files, folder), golden_rows)
    _write(folder, files, replace(manifest, files={name: digest(content) for name, content in files.items()}))
    return load_package(folder)


@dataclass(frozen=True)
class _Identity:
    snapshot_id: str
    code_digest: str
    model_hash: str


def _write(folder: Path, files: Mapping[str, bytes], manifest: Manifest) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _manifest(spec: "ModelSpec", features: Sequence[str], identity: _Identity) -> Manifest:
    p95_ms = spec.release.gates.p95_ms
    return Manifest(
        model=spec.model,
        estimator=spec.training.estimator,
        task=spec.task,
        features=tuple(features),
        threshold=spec.threshold,
        score_range=spec.score_range,
        snapshot_id=identity.snapshot_id,
        code_digest=identity.code_digest,
        model_hash=identity.model_hash,
        slow_bounds_ms=() if p95_ms is None else (p95_ms,),
        request_id=spec.data.request_id,
        event_time=spec.data.event_time,
        user_id=spec.data.user_id,
        inputs={name: field.model_dump(mode="json") for name, field in spec.data.inputs.items()},
        files={},
        segments=spec.release.segments,
    )


def _spec(content: bytes, where: str) -> "ModelSpec":
    from sluicegate.domain.spec import parse_spec  # only who writes a package reads specs: a server starts without pydantic
    from sluicegate.domain.spec_text import parse_yaml

    return parse_spec(parse_yaml(content, where), where)


def _golden(model: Model, rows: Sequence[Row]) -> bytes:
    try:
        scores = [model.score_row(row) for row in rows]
    except SpecError as e:
        raise PackageError(f"the golden rows cannot be scored: {e}") from e
    _check_values(model, rows)
    scored = [{"row": dict(r), "score": s, "decision": model.decide(s)} for r, s in zip(rows, scores, strict=True)]
    try:
        return json.dumps(scored, allow_nan=False, indent=0).encode()
    except (TypeError, ValueError) as e:
        raise PackageError(f"a golden row is not JSON ({e}): give rows as requests carry them, None for what is missing") from e


def _check_values(model: Model, rows: Sequence[Row]) -> None:
    """Whatever is decided on a golden row must be worth a number: a server could only say later that it knows none."""
    if model.value is None:
        return
    try:
        for row, decision in product(rows, (False, True)):
            model.value(row, decision)
    except SpecError as e:
        raise PackageError(f"the golden rows have no value: {e}: mend value(row, decision), or take it out") from e


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    stream = iter(rows)
    while chunk := list(islice(stream, _CHUNK)):
        yield chunk
