"""The numbers of a model: float32 features in, score out, on one thread of the ONNX runtime."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.errors import PackageError


class OnnxScorer:
    """An opened ONNX model.

    Parameters
    ----------
    content : the model: one float32 input [rows, width], one float32 output [rows].
    path : where it came from, for messages.

    Raises
    ------
    PackageError
        The runtime does not open it, or its inputs and outputs are others.
    """

    def __init__(self, content: bytes, width: int, path: Path) -> None:
        self._width = width
        self._session = _session(content, path)
        _check(self._session, width, path)
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name
        self._lock = threading.Lock()
        self._x, self._y = np.zeros((1, width), np.float32), np.zeros(1, np.float32)
        self._binding = self._session.io_binding()
        self._binding.bind_input(self._input, "cpu", 0, np.float32, [1, width], self._x.ctypes.data)
        self._binding.bind_output(self._output, "cpu", 0, np.float32, [1], self._y.ctypes.data)
        self._bytes = self._x.data.cast("B")
        self._run_bound = self._session.run_with_iobinding

    def one(self, packed: bytes) -> float:
        """Score of one row of `width` float32 numbers; the runtime reads and writes memory bound to it once, which is faster."""
        with self._lock:
            self._bytes[:] = packed
            self._run_bound(self._binding)
            return float(self._y[0])

    def many(self, packed: bytes) -> NDArray[np.float64]:
        """Scores, shape (rows,), of rows of `width` float32 numbers, one after the other."""
        x = np.frombuffer(packed, dtype=np.float32).reshape(-1, self._width)
        return np.asarray(self._session.run([self._output], {self._input: x})[0], dtype=np.float64)


def _session(content: bytes, path: Path) -> Any:
    import onnxruntime  # heavy

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime raises a class of its own for each of its status codes
        raise PackageError(f"{path} is no model that onnxruntime opens ({str(e)[:200]}): train it again") from e


def _check(session: Any, width: int, path: Path) -> None:
    """Run two empty rows: what a model declares about its shapes is often less than what it does."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    try:
        found = session.run(None, {inputs[0].name: np.zeros((2, width), np.float32)})
        fits = len(inputs) == len(outputs) == 1 and (found[0].shape, found[0].dtype) == ((2,), np.float32)
    except Exception:  # as above
        fits = False
    if not fits:
        shapes = [(i.name, i.type, i.shape) for i in (*inputs, *outputs)]
        raise PackageError(
            f"{path} has inputs and outputs {shapes}, not one float32 [rows, {width}] and one [rows]: export it again"
        )
