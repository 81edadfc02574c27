"""One contract, every store of results; and what only folders can get wrong."""

import threading
from pathlib import Path

import pytest

from sluicegate import folders
from sluicegate.adapters.folder_results import MARKER, FolderResults
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.results import MemoryResults
from sluicegate.testing.results_contract import ResultsContract, work


class TestMemoryResults(ResultsContract):
    @pytest.fixture
    def results(self, tmp_path: Path) -> MemoryResults:
        return MemoryResults(tmp_path / "home")


class TestFolderResults(ResultsContract):
    @pytest.fixture
    def results(self, tmp_path: Path) -> FolderResults:
        return FolderResults(Settings(home=tmp_path / "home"))

    def test_a_folder_without_its_marker_is_no_result(self, results: FolderResults, tmp_path: Path) -> None:
        place = results.commit("k1", work(tmp_path, "one"))
        (place / MARKER).unlink()
        assert results.find("k1") is None
        with pytest.raises(UnavailableError, match=MARKER):
            results.commit("k1", work(tmp_path, "two"))

    def test_what_is_being_committed_is_no_key_yet(self, results: FolderResults, tmp_path: Path, monkeypatch) -> None:
        during, rename = [], folders._rename

        def watched(fresh: Path, target: Path) -> bool:
            assert (fresh / MARKER).is_file()  # beside its place, and whole: the next moment it is published
            during.append(results.keys())
            return rename(fresh, target)

        monkeypatch.setattr(folders, "_rename", watched)
        results.commit("k1", work(tmp_path, "one"))
        assert (during, results.keys()) == ([[]], ["k1"])

    def test_of_eight_commits_at_once_all_see_the_same_result(self, results: FolderResults, tmp_path: Path) -> None:
        folders, seen = [work(tmp_path, str(n)) for n in range(8)], []
        writers = [
            threading.Thread(target=lambda f=f: seen.append((results.commit("k1", f) / "result.json").read_text()))
            for f in folders
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(seen) == 8
        assert len(set(seen)) == 1
