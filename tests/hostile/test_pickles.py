"""A model file is never unpickled: not by us, not through MLflow, not when somebody puts one where a model should be."""

import ast
import json
import pickle
import shutil
from pathlib import Path

import pytest

from sluicegate.adapters.mlflow_registry.flavor import _load_pyfunc
from sluicegate.errors import PackageError
from sluicegate.serving.manifest import MANIFEST, ONNX, digest
from sluicegate.serving.package import load_package
from sluicegate.testing.package import toy_package

ROOT = Path(__file__).parents[2]
UNPICKLERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "torch",
    "jsonpickle",
    "skops",
}
LOADERS = {"load_model", "read_pickle", "unsafe_load", "full_load", "UnsafeLoader", "FullLoader", "unpickle", "Booster"}


class Trap:
    """What an attacker would put in place of a model: it writes a file when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._sprung,)


def sources() -> list[Path]:
    folders = ("include/sluicegate", "include/sluicegate_demo", "plugins", "dags")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "testing" not in path.parts]


def imported(tree: ast.AST) -> set[str]:
    found = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def called(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_no_module_of_ours_can_unpickle_anything() -> None:
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sources()}
    assert len(trees) > 100
    guilty = {path: imported(tree) & UNPICKLERS or called(tree) & LOADERS for path, tree in trees.items()}
    assert {path: names for path, names in guilty.items() if names} == {}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return toy_package(tmp_path).folder


@pytest.mark.parametrize("opened_by", [load_package, lambda folder: _load_pyfunc(str(folder))])
@pytest.mark.parametrize("manifest_follows", [False, True])
def test_a_trapped_pickle_in_place_of_the_model_is_refused_unopened(package, tmp_path, opened_by, manifest_follows) -> None:
    sprung = tmp_path / "sprung"
    trap = pickle.dumps(Trap(sprung))
    (package / ONNX).write_bytes(trap)
    if manifest_follows:
        manifest = json.loads((package / MANIFEST).read_text())
        manifest["files"][ONNX] = digest(trap)
        (package / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(PackageError):
        opened_by(package)
    assert not sprung.exists()
    pickle.loads(trap)
    assert sprung.exists(), "the trap would not have sprung at all"


def test_a_pickle_that_lies_beside_the_model_is_not_looked_at(package: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    for name in ("model.pkl", "native.pkl", "python_model.pkl", "model.joblib"):
        (package / name).write_bytes(pickle.dumps(Trap(sprung)))
    load_package(package).check_golden()
    assert not sprung.exists()


def test_one_changed_byte_of_any_file_of_the_package_is_refused(package: Path, tmp_path: Path) -> None:
    names = sorted(json.loads((package / MANIFEST).read_text())["files"])
    for name in names:
        copy = shutil.copytree(package, tmp_path / f"copy of {name}")
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(PackageError, match=str(copy.name)):
            load_package(copy)
