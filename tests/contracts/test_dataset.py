"""One contract, every dataset; and what only folders can get wrong."""

import threading
from pathlib import Path

import pytest

from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.errors import RefusedError
from sluicegate.settings import Settings
from sluicegate.testing.dataset import MemoryDataset
from sluicegate.testing.dataset_contract import DatasetContract, batch_folder


class TestMemoryDataset(DatasetContract):
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> MemoryDataset:
        return MemoryDataset(tmp_path / "home")


class TestFolderDataset(DatasetContract):
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> FolderDataset:
        return FolderDataset(Settings(home=tmp_path / "home"))

    def test_of_eight_commits_at_once_exactly_one_wins_and_is_whole(self, dataset: FolderDataset, tmp_path: Path) -> None:
        folders = [batch_folder(tmp_path, "b1", str(n)) for n in range(8)]
        won: list[str] = []
        writers = [
            threading.Thread(target=lambda f=f: dataset.commit("flights", "b1", f) and won.append(f.name)) for f in folders
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        place = dataset.batch("flights", "b1")
        assert won == [f"work-b1-{(place / 'accepted.parquet').read_text()}"]
        assert (place / "accepted.parquet").read_text() in (place / "report.json").read_text()
        assert [p.name for p in place.parent.iterdir()] == ["b1"]

    def test_what_a_killed_writer_left_is_no_batch(self, dataset: FolderDataset, tmp_path: Path) -> None:
        dataset.commit("flights", "b1", batch_folder(tmp_path, "b1"))
        half = tmp_path / "home" / "data" / "flights" / "batches" / ".new-killed"
        half.mkdir()
        (half / "report.json").write_text("{}")
        assert [r["batch_id"] for r in dataset.batches("flights")] == ["b1"]

    @pytest.mark.parametrize("name", ["../b1", "a/b", "", ".hidden", "x" * 200])
    def test_an_id_that_leads_elsewhere_is_refused(self, dataset: FolderDataset, tmp_path: Path, name: str) -> None:
        with pytest.raises(RefusedError, match="no id"):
            dataset.commit("flights", name, tmp_path)
