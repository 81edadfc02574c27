"""The order `train`: from a snapshot and the user's two files to a checked, measured model package.

The model that is evaluated on the holdout is the one that is released; it is not fitted again on the holdout afterwards.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.holdout import pictures
from sluicegate.actions.holdout.labelled import Labelled, load_labelled
from sluicegate.actions.holdout.measure import measure
from sluicegate.actions.holdout.split import TRAINING, Split, temporal_split
from sluicegate.actions.training.agreement import agreement
from sluicegate.actions.training.matrix import feature_matrix
from sluicegate.domain.order import Order
from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import OrderError, RefusedError, SpecError
from sluicegate.ports import Ports
from sluicegate.ports.estimators import Fitted, Matrix
from sluicegate.serving.package import Model, write_package
from sluicegate.settings import Settings

log = logging.getLogger(__name__)
GOLDEN = 32
"""Golden rows, spread evenly over the training rows."""


@dataclass(frozen=True)
class Recipe:
    """What a training depends on besides the rows."""

    spec: ModelSpec
    spec_source: Path
    features_source: Path
    code_digest: str
    seed: int


@dataclass(frozen=True)
class Prepared:
    """Rows split and turned into features."""

    rows: Labelled
    split: Split
    names: tuple[str, ...]
    train: Matrix
    holdout: Matrix


def run_train(order: Order, ports: Ports, folder: Path) -> dict[str, Any]:
    """Train, export, check and measure.

    The order's inputs are `snapshot_id`, `spec_digest` and `features_digest` (SHA-256[:32] of the two files), and `seed`; the
    folder receives package/ and plots/. The result names everything that the model can be traced to, its split and its metrics.

    Raises
    ------
    OrderError
        spec.yaml or features.py is no longer what the order was made for.
    SpecError, RefusedError, PackageError
        The two files, the rows, or the export are wrong; nothing is committed.
    """
    recipe = _recipe(order, ports)
    prepared = _prepare(recipe, ports.dataset.snapshot(order.model, order.need("snapshot_id")))
    params, fitted = _fit(recipe, ports, prepared)
    with _timed("package"):
        model = _package(order, recipe, prepared, fitted, folder / "package")
    with _timed("measure"):
        measured = _measure(recipe, prepared, fitted, model, folder / "plots")
    return {
        "train_key": order.key,
        "model_hash": model.manifest.model_hash,
        "snapshot_id": order.need("snapshot_id"),
        "code_digest": recipe.code_digest,
        "built_from": built_from(ports.settings),
        "estimator": recipe.spec.training.estimator,
        "params": _plain(params),
        "seed": recipe.seed,
        "device": asdict(fitted.device),
        "features": list(prepared.names),
        "split": prepared.split.window.to_dict(),
        **measured,
        "package": "package",
    }


def built_from(settings: Settings) -> dict[str, str]:
    """What the image that trains was built from; nothing in a checkout."""
    told = {"code_version": settings.code_version, "lock_digest": settings.lock_digest}
    return {name: value for name, value in told.items() if value}


def _recipe(order: Order, ports: Ports) -> Recipe:
    folder = ports.settings.models / order.model
    spec_source, features_source = folder / "spec.yaml", folder / "features.py"
    for name, path in (("spec_digest", spec_source), ("features_digest", features_source)):
        asked, found = order.need(name), file_digest(path)
        if asked != found:
            raise OrderError(f"{path.name} of '{order.model}' has digest {found}, the order was made for {asked}: order again")
    code = hashlib.sha256(spec_source.read_bytes() + b"\0" + features_source.read_bytes()).hexdigest()[:32]
    return Recipe(ports.spec(order.model), spec_source, features_source, code, int(order.need("seed")))


def file_digest(path: Path) -> str:
    """32 hex digits of a file's SHA-256; SpecError when it is absent."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError as e:
        raise SpecError(f"{path.parent.name}/{path.name} cannot be read ({e}): a model is spec.yaml and features.py") from e


def _refuse_one_class(spec: ModelSpec, y: NDArray[np.float64]) -> None:
    if spec.task == "classification" and y.min() == y.max():
        label = spec.data.label
        rule = "" if label.above is None else f" ({label.field} > {label.above:g})"
        raise RefusedError(f"all {y.size} training rows have label {y[0]:g}{rule}: one class only, there is nothing to learn")


def _prepare(recipe: Recipe, snapshot: Path) -> Prepared:
    """Features of training and holdout rows in one pass in order of time, as a server would have met them."""
    with _timed("load"):
        rows = load_labelled(snapshot, recipe.spec)
        split = temporal_split(rows, recipe.spec.training)
        _refuse_one_class(recipe.spec, rows.y[split.train])
    with _timed("features"):
        used = split.train | split.holdout
        source, field = recipe.features_source, recipe.spec.data.request_id
        names, matrix = feature_matrix(source.read_bytes(), source, rows.rows(used), field)
    return Prepared(rows, split, names, matrix[split.train[used]], matrix[split.holdout[used]])


def _fit(recipe: Recipe, ports: Ports, prepared: Prepared) -> tuple[Mapping[str, Any], Fitted]:
    """The parameters and what was learned with them."""
    with _timed("fit"):
        training = recipe.spec.training
        estimator = ports.estimators.make(training.estimator, training.params, task=recipe.spec.task, seed=recipe.seed)
        fitted = estimator.fit(prepared.train, prepared.rows.y[prepared.split.train], prepared.names)
    if fitted.device.message:
        log.warning(fitted.device.message)
    return estimator.params, fitted


def _package(order: Order, recipe: Recipe, prepared: Prepared, fitted: Fitted, folder: Path) -> Model:
    native = fitted.native()
    window = json.dumps(prepared.split.window.to_dict(), sort_keys=True, indent=1).encode()
    return write_package(
        folder,
        spec_source=recipe.spec_source,
        features_source=recipe.features_source,
        features=prepared.names,
        onnx_bytes=fitted.onnx(),
        golden_rows=prepared.rows.rows(_spread(prepared.split.train)),
        snapshot_id=str(order.need("snapshot_id")),
        code_digest=recipe.code_digest,
        model_hash=fitted.learned_state(),
        native={TRAINING: window} | ({} if native is None else {f"native.{native.suffix}": native.content}),
    )


def _spread(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """GOLDEN rows of the mask, evenly spread, first and last among them."""
    places = np.flatnonzero(mask)
    chosen = np.zeros_like(mask)
    chosen[places[np.unique(np.linspace(0, places.size - 1, GOLDEN).astype(int))]] = True
    return chosen


def _measure(recipe: Recipe, prepared: Prepared, fitted: Fitted, model: Model, plots: Path) -> dict[str, Any]:
    """Scores of the holdout through the package: checked against the library's, measured, drawn."""
    spec, holdout = recipe.spec, prepared.split.holdout
    scores = model.score_rows(prepared.rows.rows(holdout))
    agreed = agreement(fitted.scores(prepared.holdout), scores, spec.task)
    y, times = prepared.rows.y[holdout], prepared.rows.event_time[holdout]
    one = {"candidate": scores}
    drawn = pictures.regression(y, one, times) if spec.task == "regression" else pictures.classification(y, one)
    plots.mkdir()
    for name, svg in drawn.items():
        (plots / f"{name}.svg").write_text(svg, encoding="utf-8")
    return {"metrics": dict(measure(spec.task, y, scores, spec.threshold)), "agreement": agreed.to_dict()}


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.loads(json.dumps(value, default=str)) for name, value in params.items()}


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    log.info("%s took %.2f s", what, time.perf_counter() - start)
