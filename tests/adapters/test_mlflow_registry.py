"""A registered version is an MLflow model that MLflow itself opens, without pickle."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sluicegate.adapters.estimators import DottedEstimators
from sluicegate.adapters.mlflow_registry import MlflowRegistry
from sluicegate.adapters.mlflow_registry.model_file import WRITTEN_FOR, input_example, model_file
from sluicegate.serving.package import load_package
from sluicegate.settings import Settings
from sluicegate.testing.learning import LearningWorld, toy_rows
from sluicegate.testing.mlflow_server import mlflow_server

OPEN = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow
model = mlflow.pyfunc.load_model("models:/toy@champion")
names = [column.name for column in model.metadata.signature.inputs]
print(json.dumps({"names": names, "score": float(model.predict(model.input_example)[0])}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    world = LearningWorld(tmp_path / "world", DottedEstimators())
    trained = world.train(world.keep_rows("s", toy_rows(1500)))
    return world.settings.results / trained["train_key"] / trained["package"]


def test_the_model_file_names_types_as_the_spec_does_and_a_loader_without_pickle(package: Path) -> None:
    import yaml

    content = yaml.safe_load(model_file(package, "run1"))
    columns = {c["name"]: (c["type"], c["required"]) for c in json.loads(content["signature"]["inputs"])}
    assert columns["x"] == ("double", True)
    assert columns["z"] == ("double", False)
    assert columns["region"] == columns["event_time"] == columns["customer"] == ("string", True)
    assert content["flavors"]["python_function"]["loader_module"] == "sluicegate.adapters.mlflow_registry.flavor"
    assert not [p for p in package.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib")]
    example = json.loads(input_example(package))
    assert dict(zip(example["columns"], example["data"][0], strict=True)) == load_package(package).golden[0]["row"]


@pytest.mark.stack
def test_the_model_file_is_that_of_the_mlflow_that_was_tested() -> None:
    assert version("mlflow") == WRITTEN_FOR


@pytest.mark.slow
def test_mlflow_opens_the_champion_and_scores_the_example_as_in_training(package: Path, tmp_path: Path) -> None:
    with mlflow_server(tmp_path) as url:
        registry = MlflowRegistry(Settings(home=tmp_path / "home", mlflow_url=url))
        made = registry.register("toy", package, {"train_key": "k"})
        registry.alias("toy", "champion", made.version)
        environment = {"MLFLOW_TRACKING_URI": url, "PATH": "", "HOME": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    golden = load_package(package).golden[0]
    assert said["names"] == list(golden["row"])
    assert said["score"] == pytest.approx(golden["score"], abs=1e-6)
