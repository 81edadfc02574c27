"""The images' recipes, without an engine: what goes in, from which versions, and what would change a tag."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

from sluicegate.settings import PROJECT

DOCKER = PROJECT / "docker"
PYTHON = ("gateway", "keeper", "mlflow", "serve", "work")
OURS = ("gateway", "keeper", "serve", "work")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sluicegate_images", DOCKER / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


build = _load()


def _pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", text, re.M))


def _recipe(role: str) -> str:
    return (DOCKER / f"{role}.Dockerfile").read_text()


@pytest.mark.parametrize("role", OURS)
def test_an_image_has_the_versions_that_were_tested(role: str) -> None:
    tested = _pins((PROJECT / "requirements.txt").read_text())
    inside = _pins((DOCKER / "requirements" / f"{role}.txt").read_text())
    assert inside
    assert inside == {name: tested[name] for name in inside}


def test_the_registry_s_image_differs_only_by_the_store_s_driver() -> None:
    tested = _pins((PROJECT / "requirements.txt").read_text())
    inside = _pins((DOCKER / "requirements" / "mlflow.txt").read_text())
    assert {name for name in inside if inside[name] != tested.get(name)} == {"boto3", "s3transfer"}


@pytest.mark.parametrize("role", PYTHON)
def test_what_an_image_asks_for_is_locked(role: str) -> None:
    asked = (DOCKER / "requirements" / f"{role}.in").read_text()
    names = {re.split(r"[\[=<>#\s]", line)[0].lower() for line in asked.splitlines() if line and not line.startswith("#")}
    assert names <= set(_pins((DOCKER / "requirements" / f"{role}.txt").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "modules"),
    [
        ("serve", "sluicegate.serving.main onnxruntime"),
        ("keeper", "sluicegate.wiring sluicegate.actions.guard sluicegate.kube"),
        ("gateway", "sluicegate.wiring sluicegate.actions.guard sluicegate.adapters.envoy_router"),
    ],
)
def test_what_a_small_image_runs_imports_nothing_that_it_lacks(role: str, modules: str) -> None:
    told = f"import sys, {', '.join(modules.split())}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    known = packages_distributions()
    needed = {build_name(d) for module in ran.stdout.split() if module in known for d in known[module]}
    inside = set(_pins((DOCKER / "requirements" / f"{role}.txt").read_text()))
    assert needed - inside - ALWAYS == set()


ALWAYS = {"sluicegate", "setuptools"}
"""Our own package is copied; setuptools is loaded by a hook of the environment in which tests run."""


@pytest.mark.slow
def test_nothing_that_the_package_ever_imports_is_missing_where_orders_are_carried_out() -> None:
    inside = set(_pins((DOCKER / "requirements" / "work.txt").read_text()))
    rooms = [path for path in (PROJECT / "include" / "sluicegate").rglob("*.py") if not {"local", "testing"} & set(path.parts)]
    nodes = [node for path in rooms for node in ast.walk(ast.parse(path.read_text()))]
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    known = packages_distributions()
    needed = {module: {build_name(d) for d in known.get(module, ())} for module in {name.partition(".")[0] for name in named}}
    assert len(needed) > 40
    missing = {module for module, from_any in needed.items() if from_any and not from_any & (inside | ALWAYS)}
    assert missing == {"supervisor"}, "supervisord is the local profile's alone"


def test_the_package_asks_for_no_version_that_its_image_lacks() -> None:
    inside = set(_pins((DOCKER / "requirements" / "work.txt").read_text()))
    rooms = (path for path in (PROJECT / "include" / "sluicegate").rglob("*.py") if "local" not in path.parts)
    asked = {name for path in rooms for name in re.findall(r"\bversion\(\"([a-z0-9-]+)\"\)", path.read_text())}
    assert asked <= inside


def build_name(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize("role", build.ROLES)
def test_an_image_runs_as_nobody_from_the_same_base(role: str) -> None:
    text = _recipe(role)
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) <= {"python:3.11-slim-bookworm", "build"}
    assert re.findall(r"^USER (\S+)", text, re.M) == ["10001:10001"]
    assert "/opt/sluicegate/lock.txt" in text


@pytest.mark.parametrize("role", build.ROLES)
def test_an_image_copies_what_is_there(role: str) -> None:
    assert all(path.is_file() for path in build.Image(role).inputs())


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(DOCKER, tmp_path / "docker")
    for part in ("sluicegate/serving", "models"):
        shutil.copytree(PROJECT / "include" / part, tmp_path / "include" / part)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "roles"),
    [
        ("include/sluicegate/serving/service.py", {"work", "serve", "gateway", "keeper"}),
        ("include/models/flights/features.py", set()),
        ("docker/requirements/serve.txt", {"serve"}),
        ("docker/mlflow.Dockerfile", {"mlflow"}),
        ("docker/postgresql/start", {"postgresql"}),
        ("docker/requirements/serve.in", set()),
        ("include/sluicegate/serving/__pycache__/x.pyc", set()),
    ],
)
def test_a_tag_changes_with_what_is_inside_and_with_nothing_else(copied: Path, changed: str, roles: set[str]) -> None:
    before = {role: build.Image(role, copied).name for role in build.ROLES}
    path = copied / changed
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{path.read_text() if path.exists() else ''}# changed\n")
    assert {role for role in build.ROLES if build.Image(role, copied).name != before[role]} == roles


def test_an_image_is_built_from_copies_of_what_its_tag_says(copied: Path, tmp_path: Path) -> None:
    image = build.Image("serve", copied)
    taken = image.taken_into(tmp_path / "context")
    assert taken.name == image.name
    there = {p.relative_to(taken.project) for p in taken.project.rglob("*") if p.is_file()}
    assert there == {p.relative_to(copied) for p in (image.dockerfile, *image.inputs())}


@pytest.fixture(autouse=True)
def _no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may be building on this machine."""
    monkeypatch.setattr(build, "LOCK", tmp_path / "lock")


class Shelf:
    """An engine without a machine: remembers what it was told to build."""

    def __init__(self) -> None:
        self.built: list[str] = []

    def has(self, image: str) -> bool:
        return image in self.built

    def build(self, image: "build.Image") -> None:
        self.built.append(image.name)

    def size_mb(self, image: str) -> float:
        return 42.0

    def push(self, image: str) -> None:
        self.built.append(f"pushed {image}")


def test_what_is_there_is_not_built_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf()
    monkeypatch.setattr(build, "engine", lambda: shelf)
    for said in ("built", "unchanged"):
        build.main(["keeper"])
        assert said in capsys.readouterr().out
    assert shelf.built == [build.Image("keeper").name]


def test_manifests_are_told_the_names_of_the_images(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(build, "engine", Shelf)
    build.main(["keeper", "--format", "kustomize", "--registry", "example.org:5000/team"])
    [image] = json.loads(capsys.readouterr().out)["images"]
    assert image == {
        "name": "sluicegate-keeper",
        "newName": "example.org:5000/team/sluicegate-keeper",
        "newTag": build.Image("keeper").digest,
    }


def test_an_unknown_role_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.main(["trainer"])
    assert "no role is named trainer: write some of gateway, keeper" in capsys.readouterr().err


def test_what_a_push_says_is_no_part_of_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _program(tmp_path / "docker", 'echo "pushed $2"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    build.Engine("docker").push("example.org/a:1")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "pushed example.org/a:1\n")


def test_the_first_make_of_all_prints_the_component_alone(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    _program(tmp_path / "bin" / "uv", "")
    _program(tmp_path / "bin" / "python", "echo component")
    command = ["make", "--no-print-directory", "images", f"VENV={tmp_path}", f"PYTHON={sys.executable}"]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout == "component\n"
    assert "installing into" in ran.stderr


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
