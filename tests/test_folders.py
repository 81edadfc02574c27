"""Folders appear whole or not at all, whatever file system they come from."""

import os
from pathlib import Path

import pytest

from sluicegate.errors import RefusedError
from sluicegate.folders import child, link_or_copy, publish


def folder(root: Path) -> Path:
    work = root / "work"
    (work / "inner").mkdir(parents=True)
    (work / "inner" / "file").write_text("content")
    return work


def test_a_published_folder_has_all_files_and_the_added_ones(tmp_path: Path) -> None:
    assert publish(folder(tmp_path), tmp_path / "out" / "id", {"MARK": "done"})
    assert (tmp_path / "out" / "id" / "inner" / "file").read_text() == "content"
    assert (tmp_path / "out" / "id" / "MARK").read_text() == "done"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["id"]


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    work = folder(tmp_path)
    publish(work, tmp_path / "id")
    assert not publish(work, tmp_path / "id", {"MARK": "second"})
    assert not (tmp_path / "id" / "MARK").exists()


def test_a_file_of_another_file_system_is_copied(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    source = other / f"sluicegate-test-{os.getpid()}"
    source.write_text("content")
    try:
        link_or_copy(source, tmp_path / "copy")
    finally:
        source.unlink()
    assert (tmp_path / "copy").read_text() == "content"


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", ".x", "-x", "x" * 129, "x\n", "x\0"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="no id"):
        child(tmp_path, name)
