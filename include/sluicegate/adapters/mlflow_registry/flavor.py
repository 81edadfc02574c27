"""What MLflow calls to open a registered package as a python_function: `mlflow.pyfunc.load_model("models:/flights@champion")`.

No pickle is opened: the loader hands the folder to the same code that the model server uses.
"""

from pathlib import Path
from typing import Any

from sluicegate.serving.package import Model, load_package


class Predictor:
    """Scores a data frame of raw rows."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Scores, shape (rows,), of a pandas data frame whose columns are the raw request fields."""
        return self._model.score_rows(model_input.to_dict("records"))


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(load_package(Path(path)))
