"""Writes a fitted scikit-learn estimator as ONNX of the one shape that a package holds."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onnx import TensorProto, helper

from sluicegate.errors import SpecError

OPSETS = {"": 15, "ai.onnx.ml": 3}


def classical_to_onnx(model: Any, task: str, width: int) -> bytes:
    """ONNX bytes: input `x` float32 [rows, width], output `score` float32 [rows].

    Raises
    ------
    SpecError
        The converter does not know this estimator, so it cannot be packaged.
    """
    graph_of = _converted(model, task, width)
    graph = graph_of.graph
    raw = graph.output[1 if task == "classification" else 0].name
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, [None]))
    graph.initializer.append(helper.make_tensor("sluicegate_flat", TensorProto.INT64, [1], [-1]))
    if task == "classification":
        graph.initializer.append(helper.make_tensor("sluicegate_positive", TensorProto.INT64, [1], [1]))
        graph.node.append(helper.make_node("Gather", [raw, "sluicegate_positive"], ["sluicegate_column"], axis=1))
        raw = "sluicegate_column"
    graph.node.append(helper.make_node("Reshape", [raw, "sluicegate_flat"], ["score"]))
    graph_of.producer_name, graph_of.producer_version, graph_of.doc_string = "sluicegate", "", ""
    content: bytes = graph_of.SerializeToString(deterministic=True)
    return content


def _converted(model: Any, task: str, width: int) -> Any:
    from skl2onnx import convert_sklearn  # heavy
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    options = {"options": {"zipmap": False}} if task == "classification" else {}
    try:
        with warnings.catch_warnings(), _whole_numbers():
            warnings.simplefilter("ignore")
            return convert_sklearn(
                model, name="sluicegate", initial_types=[("x", FloatTensorType([None, width]))], target_opset=OPSETS, **options
            )
    except (MissingConverter, MissingShapeCalculator, NotImplementedError, RuntimeError, ValueError) as e:
        name = type(model).__name__
        raise SpecError(
            f"training.estimator '{name}' cannot be written as ONNX ({str(e).splitlines()[0][:200]}): choose one that can"
        ) from e


@contextmanager
def _whole_numbers() -> Iterator[None]:
    """skl2onnx 1.20 hands truth values to integer attributes, which onnx >= 1.19 refuses; write them as 0 and 1 meanwhile."""
    from skl2onnx.common import _container

    original = _container.make_node

    def make_node(*args: Any, **attributes: Any) -> Any:
        whole = {k: [int(i) for i in v] if _truths(v) else v for k, v in attributes.items()}
        return original(*args, **whole)

    _container.make_node = make_node
    try:
        yield
    finally:
        _container.make_node = original


def _truths(value: Any) -> bool:
    return isinstance(value, list) and any(type(item).__name__ in ("bool", "bool_") for item in value)
