"""What every store of results keeps. Run over each adapter and over the fake: subclass, and give a `results` fixture."""

from pathlib import Path

import pytest

from sluicegate.ports.results import Results


def work(root: Path, text: str) -> Path:
    """A folder as an order leaves it, with a folder inside."""
    folder = root / f"work-{text}"
    (folder / "package").mkdir(parents=True)
    (folder / "result.json").write_text(text)
    (folder / "package" / "model.onnx").write_bytes(b"\0\1")
    return folder


class ResultsContract:
    """Tests that every implementation of the Results port passes."""

    @pytest.fixture
    def results(self) -> Results:
        raise NotImplementedError

    def test_nothing_is_found_before_it_is_committed(self, results: Results) -> None:
        assert results.find("k1") is None

    def test_a_committed_result_is_found_whole(self, results: Results, tmp_path: Path) -> None:
        place = results.commit("k1", work(tmp_path, "one"))
        assert results.find("k1") == place
        assert (place / "result.json").read_text() == "one"
        assert (place / "package" / "model.onnx").read_bytes() == b"\0\1"

    def test_the_keys_are_those_of_what_is_committed(self, results: Results, tmp_path: Path) -> None:
        assert results.keys() == []
        for key in ("k2", "k1", "k2"):
            results.commit(key, work(tmp_path, f"{key}-{len(list(tmp_path.iterdir()))}"))
        assert results.keys() == ["k1", "k2"]

    def test_the_first_commit_wins_and_the_second_returns_it(self, results: Results, tmp_path: Path) -> None:
        first = results.commit("k1", work(tmp_path, "one"))
        assert results.commit("k1", work(tmp_path, "two")) == first
        assert (first / "result.json").read_text() == "one"

    def test_the_work_folder_may_go_after_the_commit(self, results: Results, tmp_path: Path) -> None:
        folder = work(tmp_path, "one")
        place = results.commit("k1", folder)
        (folder / "result.json").unlink()
        assert (place / "result.json").read_text() == "one"
