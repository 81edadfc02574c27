"""A package reaches a pod byte for byte, or not at all."""

import json
import uuid
from pathlib import Path

import fsspec
import pytest

from sluicegate.errors import InputError, PackageError, UnavailableError
from sluicegate.serving import depot
from sluicegate.serving.manifest import MANIFEST, digest
from sluicegate.serving.package import load_package
from sluicegate.testing.package import toy_package, toy_row


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package(tmp_path_factory.mktemp("toy")).folder


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory://{uuid.uuid4().hex}" if request.param == "memory" else f"file://{tmp_path}/store"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_fetched_package_is_the_sent_one_and_scores_alike(package: Path, store: str, tmp_path: Path) -> None:
    known = depot.send(package, store)
    depot.fetch(store, known, tmp_path / "fetched")
    assert files_of(tmp_path / "fetched") == files_of(package)
    assert load_package(tmp_path / "fetched").score_row(toy_row(3)) == load_package(package).score_row(toy_row(3))


def test_sending_and_fetching_again_change_nothing(package: Path, store: str, tmp_path: Path) -> None:
    known = depot.send(package, store)
    assert depot.send(package, store) == known
    depot.fetch(store, known, tmp_path / "fetched")
    before = (tmp_path / "fetched" / MANIFEST).stat().st_mtime_ns
    depot.fetch(store, known, tmp_path / "fetched")
    assert (tmp_path / "fetched" / MANIFEST).stat().st_mtime_ns == before


def test_package_that_was_altered_before_it_was_sent_is_refused(store: str, tmp_path: Path) -> None:
    folder = toy_package(tmp_path).folder
    (folder / "features.py").write_text("def features(row): return {}\n")
    with pytest.raises(PackageError, match="altered"):
        depot.send(folder, store)


@pytest.mark.parametrize("name", [MANIFEST, "features.py", "model.onnx"])
def test_package_that_was_altered_in_the_store_never_arrives(package: Path, store: str, tmp_path: Path, name: str) -> None:
    known = depot.send(package, store)
    files, root = fsspec.core.url_to_fs(depot.place(store, known))
    content = files.cat_file(f"{root}/{name}")
    files.pipe_file(f"{root}/{name}", content + b"\n")
    with pytest.raises(PackageError, match="altered"):
        depot.fetch(store, known, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
    files.pipe_file(f"{root}/{name}", content)


def test_package_whose_sender_was_killed_half_way_is_none(package: Path, store: str, tmp_path: Path) -> None:
    known = digest((package / MANIFEST).read_bytes())
    files, root = fsspec.core.url_to_fs(depot.place(store, known))
    files.makedirs(root, exist_ok=True)
    files.pipe_file(f"{root}/model.onnx", b"half")
    with pytest.raises(PackageError, match="deploy the version again"):
        depot.fetch(store, known, tmp_path / "fetched")
    depot.send(package, store)
    depot.fetch(store, known, tmp_path / "fetched")


def test_manifest_that_names_files_outside_its_folder_is_refused(package: Path, store: str, tmp_path: Path) -> None:
    raw = json.loads((package / MANIFEST).read_text())
    raw["files"]["../../escaped"] = digest(b"x")
    content = json.dumps(raw).encode()
    files, root = fsspec.core.url_to_fs(depot.place(store, digest(content)))
    for name in raw["files"].keys() - {"../../escaped"}:
        files.makedirs(root, exist_ok=True)
        files.pipe_file(f"{root}/{name}", (package / name).read_bytes())
    files.pipe_file(f"{root}/{MANIFEST}", content)
    with pytest.raises(PackageError, match="outside the package"):
        depot.fetch(store, digest(content), tmp_path / "deep" / "er" / "fetched")
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("word", ["", "../../x", "A" * 64, "0" * 63])
def test_what_is_no_digest_is_refused_unasked(store: str, tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="no digest"):
        depot.fetch(store, word, tmp_path / "fetched")


def test_without_a_store_the_sentence_names_the_setting(package: Path) -> None:
    with pytest.raises(InputError, match="SLUICEGATE_STORE_URL"):
        depot.send(package, "")


def test_store_that_is_no_store_is_an_outage(package: Path) -> None:
    with pytest.raises(UnavailableError, match="nonsense://x"):
        depot.send(package, "nonsense://x")
