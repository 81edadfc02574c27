"""What every dataset keeps. Run over each adapter and over the fake: subclass, and give a `dataset` fixture."""

import json
from pathlib import Path

import pytest

from sluicegate.errors import RefusedError
from sluicegate.ports.dataset import Dataset


def batch_folder(root: Path, batch_id: str, text: str = "rows") -> Path:
    """A folder as the order `validate` leaves it."""
    folder = root / f"work-{batch_id}-{text}"
    folder.mkdir()
    (folder / "accepted.parquet").write_text(text)
    (folder / "report.json").write_text(json.dumps({"batch_id": batch_id, "text": text}))
    return folder


class DatasetContract:
    """Tests that every implementation of the Dataset port passes."""

    @pytest.fixture
    def dataset(self) -> Dataset:
        raise NotImplementedError

    def test_a_committed_batch_is_found_with_its_files_and_its_report(self, dataset: Dataset, tmp_path: Path) -> None:
        assert dataset.commit("flights", "b1", batch_folder(tmp_path, "b1"))
        assert (dataset.batch("flights", "b1") / "accepted.parquet").read_text() == "rows"
        assert dataset.batches("flights") == [{"batch_id": "b1", "text": "rows"}]

    def test_the_first_commit_wins_and_the_second_says_so(self, dataset: Dataset, tmp_path: Path) -> None:
        assert dataset.commit("flights", "b1", batch_folder(tmp_path, "b1", "first"))
        assert not dataset.commit("flights", "b1", batch_folder(tmp_path, "b1", "second"))
        assert (dataset.batch("flights", "b1") / "accepted.parquet").read_text() == "first"

    def test_the_folder_that_was_committed_stays_where_it_is(self, dataset: Dataset, tmp_path: Path) -> None:
        folder = batch_folder(tmp_path, "b1")
        dataset.commit("flights", "b1", folder)
        assert (folder / "accepted.parquet").read_text() == "rows"

    def test_reports_come_ordered_by_batch_id_and_each_model_has_its_own(self, dataset: Dataset, tmp_path: Path) -> None:
        for batch_id in ("b3", "b1", "b2"):
            dataset.commit("flights", batch_id, batch_folder(tmp_path, batch_id))
        dataset.commit("claims", "b9", batch_folder(tmp_path, "b9"))
        assert [r["batch_id"] for r in dataset.batches("flights")] == ["b1", "b2", "b3"]

    def test_a_model_without_batches_has_none(self, dataset: Dataset) -> None:
        assert dataset.batches("flights") == []

    def test_a_batch_or_snapshot_that_is_not_there_is_refused_by_name(self, dataset: Dataset) -> None:
        with pytest.raises(RefusedError, match="b404"):
            dataset.batch("flights", "b404")
        with pytest.raises(RefusedError, match="s404"):
            dataset.snapshot("flights", "s404")

    def test_a_snapshot_is_kept_once(self, dataset: Dataset, tmp_path: Path) -> None:
        assert dataset.keep("flights", "s1", batch_folder(tmp_path, "s1", "first"))
        assert not dataset.keep("flights", "s1", batch_folder(tmp_path, "s1", "second"))
        assert (dataset.snapshot("flights", "s1") / "accepted.parquet").read_text() == "first"

    def test_a_snapshot_is_no_batch(self, dataset: Dataset, tmp_path: Path) -> None:
        dataset.keep("flights", "s1", batch_folder(tmp_path, "s1"))
        assert dataset.batches("flights") == []
