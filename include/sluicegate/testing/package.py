"""A real model package small enough for a test: two features, a logistic regression written node by node."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sluicegate.serving.features import Row
from sluicegate.serving.package import Model, write_package

FEATURES = """\
def features(row):
    return {"distance": row["distance"] / 1000, "wind": float("nan") if row.get("wind") is None else row["wind"]}
"""
SPEC = """\
model: toy
data:
  user_id: tailnum
  inputs:
    distance: {type: number, min: 0, max: 6000}
    wind: {type: number, required: false}
    carrier: {type: string, required: false, values: [AA, UA]}
    stops: {type: integer, required: false}
    cargo: {type: boolean, required: false}
    scheduled: {type: timestamp, required: false}
  label: {field: arr_delay, above: 15}
training:
  estimator: sklearn.linear_model.LogisticRegression
  holdout: {length: 1d}
release:
  stages: [{weight: 100}]
  gates: {p95_ms: 25, error_rate: {}}
"""
SLOPES, BIAS = (0.5, -0.25), -0.5


def toy_row(number: int) -> dict[str, Any]:
    """A valid request row."""
    return {
        "request_id": f"r{number}",
        "event_time": "2013-08-01T10:00:00Z",
        "tailnum": f"N{number % 50}",
        "distance": 100.0 + 37 * number % 4000,
        "wind": float(number % 13),
    }


def toy_package(
    folder: Path,
    *,
    features: str = FEATURES,
    spec: str = SPEC,
    names: Sequence[str] = ("distance", "wind"),
    onnx_bytes: bytes | None = None,
    golden: int = 20,
    golden_rows: Sequence[Row] | None = None,
) -> Model:
    """Write the package into `folder` / package and open it; `features` and `spec` are the two files of its user."""
    sources = folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    (sources / "spec.yaml").write_text(spec)
    (sources / "features.py").write_text(features)
    return write_package(
        folder / "package",
        spec_source=sources / "spec.yaml",
        features_source=sources / "features.py",
        features=names,
        onnx_bytes=onnx_bytes or logistic_onnx(SLOPES, BIAS),
        golden_rows=[toy_row(number) for number in range(golden)] if golden_rows is None else golden_rows,
        snapshot_id="snapshot",
        code_digest="code",
        model_hash="hash",
    )


def logistic_onnx(slopes: Sequence[float], bias: float) -> bytes:
    """ONNX bytes of sigmoid(x @ slopes + bias) where a missing value counts as zero; x is float32 [rows, len(slopes)]."""
    from onnx import TensorProto, helper

    width = len(slopes)
    constants = [
        helper.make_tensor("slopes", TensorProto.FLOAT, [width, 1], list(slopes)),
        helper.make_tensor("bias", TensorProto.FLOAT, [1], [bias]),
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("IsNaN", ["x"], ["absent"]),
        helper.make_node("Where", ["absent", "zero", "x"], ["known"]),
        helper.make_node("Gemm", ["known", "slopes", "bias"], ["margin"]),
        helper.make_node("Sigmoid", ["margin"], ["column"]),
        helper.make_node("Squeeze", ["column", "axes"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])],
        constants,
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8, producer_name="sluicegate"
    ).SerializeToString(deterministic=True)
    return content
