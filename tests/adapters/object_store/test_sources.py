"""A model's files in a store: what one machine sends the other works with, and nothing else."""

from pathlib import Path

import pytest

from sluicegate.adapters.object_store.drivers import FileObjects
from sluicegate.adapters.object_store.sources import ObjectSources
from sluicegate.errors import OrderError, RefusedError, SpecError

SPEC, FEATURES = "model: toy\n", "def features(row):\n    return {'x': 1.0}\n"


@pytest.fixture
def store(tmp_path: Path) -> FileObjects:
    return FileObjects(f"file://{tmp_path}/store")


def models(root: Path, features: str = FEATURES) -> Path:
    folder = root / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "features.py").write_text(features)
    return root


def test_what_was_sent_is_there_on_the_other_side(store: FileObjects, tmp_path: Path) -> None:
    digest = ObjectSources(store, models(tmp_path / "airflow")).send("toy")
    ObjectSources(store, tmp_path / "pod").fetch(digest, "toy")
    assert (tmp_path / "pod" / "toy" / "spec.yaml").read_text() == SPEC
    assert (tmp_path / "pod" / "toy" / "features.py").read_text() == FEATURES


def test_a_changed_model_is_another_one_and_the_one_before_stays(store: FileObjects, tmp_path: Path) -> None:
    sources = ObjectSources(store, models(tmp_path / "airflow"))
    first, again = sources.send("toy"), sources.send("toy")
    models(tmp_path / "airflow", FEATURES + "# changed\n")
    assert (again, sources.send("toy") != first) == (first, True)
    ObjectSources(store, tmp_path / "pod").fetch(first, "toy")
    assert (tmp_path / "pod" / "toy" / "features.py").read_text() == FEATURES


@pytest.mark.parametrize("content", ["import os\n", None])
def test_code_that_somebody_put_in_its_place_is_not_worked_with(store: FileObjects, tmp_path: Path, content: str | None) -> None:
    digest = ObjectSources(store, models(tmp_path / "airflow")).send("toy")
    place = tmp_path / "store" / "models" / digest / "features.py"
    place.unlink() if content is None else place.write_text(content)
    with pytest.raises(OrderError, match="is not the model 'toy' that was sent"):
        ObjectSources(store, tmp_path / "pod").fetch(digest, "toy")
    assert not (tmp_path / "pod").exists()


def test_a_model_without_features_is_not_sent(store: FileObjects, tmp_path: Path) -> None:
    (models(tmp_path / "airflow") / "toy" / "features.py").unlink()
    with pytest.raises(SpecError, match=r"spec\.yaml and features\.py"):
        ObjectSources(store, tmp_path / "airflow").send("toy")


@pytest.mark.parametrize("name", ["../etc", "a/b", "", ".."])
def test_no_name_leads_out_of_the_store_or_the_folder(store: FileObjects, tmp_path: Path, name: str) -> None:
    sources = ObjectSources(store, models(tmp_path / "airflow"))
    with pytest.raises(RefusedError):
        sources.send(name)
    with pytest.raises(RefusedError):
        sources.fetch(name, "toy")
    with pytest.raises(RefusedError):
        sources.fetch(sources.send("toy"), name)
