"""What every landing area keeps. Run over each adapter and over the fake: subclass, and give a `landing` fixture."""

import hashlib
from pathlib import Path

import pytest

from sluicegate.errors import InputError, RefusedError
from sluicegate.ports.landing import Arrival, Landing


def dropped(landing: Landing, folder: Path, name: str, content: bytes, model: str = "flights") -> str:
    """Drop a file of this content."""
    source = folder / "source"
    source.write_bytes(content)
    return landing.drop(model, name, source)


class LandingContract:
    """Tests that every implementation of the Landing port passes."""

    @pytest.fixture
    def landing(self) -> Landing:
        raise NotImplementedError

    def test_a_dropped_file_waits_under_the_digest_of_its_bytes(self, landing: Landing, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"x,y\n1,2\n")
        (arrival,) = landing.waiting("flights")
        assert arrival.batch_id == hashlib.sha256(b"x,y\n1,2\n").hexdigest()[:32]
        assert (arrival.model, arrival.name, arrival.size) == ("flights", "a.csv", 8)

    def test_files_wait_oldest_first_and_each_model_has_its_own(self, landing: Landing, tmp_path: Path) -> None:
        for name in ("b.csv", "a.csv", "c.csv"):
            dropped(landing, tmp_path, name, name.encode())
        dropped(landing, tmp_path, "z.csv", b"z", model="claims")
        assert [a.name for a in landing.waiting("flights")] == ["b.csv", "a.csv", "c.csv"]
        assert [a.name for a in landing.waiting("claims")] == ["z.csv"]

    def test_a_look_names_what_is_there_with_a_mark_that_changes_with_the_file(self, landing: Landing, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"first")
        first = landing.look("flights")
        assert list(first) == ["a.csv"]
        assert landing.look("flights") == first
        (arrival,) = landing.waiting("flights")
        landing.take(arrival)
        assert landing.look("flights") == {}
        dropped(landing, tmp_path, "a.csv", b"second one")
        assert landing.look("flights") not in ({}, first)

    def test_nothing_waits_where_nothing_landed(self, landing: Landing) -> None:
        assert landing.waiting("flights") == []
        assert landing.taken("flights") == []

    def test_a_taken_file_waits_no_more_and_keeps_its_bytes(self, landing: Landing, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"bytes")
        (arrival,) = landing.waiting("flights")
        assert landing.take(arrival).read_bytes() == b"bytes"
        assert landing.waiting("flights") == []
        assert landing.taken("flights") == [arrival]

    def test_taking_again_returns_the_same_file(self, landing: Landing, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"bytes")
        (arrival,) = landing.waiting("flights")
        assert landing.take(arrival) == landing.take(arrival)

    def test_the_same_bytes_landed_again_are_the_same_batch_by_their_first_name(self, landing: Landing, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"bytes")
        (first,) = landing.waiting("flights")
        landing.take(first)
        dropped(landing, tmp_path, "again.csv", b"bytes")
        (again,) = landing.waiting("flights")
        assert landing.take(again) == landing.take(first)
        assert landing.waiting("flights") == []
        assert landing.taken("flights") == [first]

    def test_a_file_of_a_name_that_still_waits_replaces_nothing(self, landing: Landing, tmp_path: Path) -> None:
        names = {dropped(landing, tmp_path, "a.csv", content) for content in (b"first", b"second")}
        assert len(names) == 2
        assert sorted(landing.take(a).read_bytes() for a in landing.waiting("flights")) == [b"first", b"second"]

    def test_a_name_used_again_after_taking_is_a_new_batch(self, landing: Landing, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"first")
        (first,) = landing.waiting("flights")
        landing.take(first)
        dropped(landing, tmp_path, "a.csv", b"second")
        landing.take(first)
        (second,) = landing.waiting("flights")
        assert landing.take(second).read_bytes() == b"second"

    def test_an_arrival_that_nobody_saw_cannot_be_taken(self, landing: Landing) -> None:
        with pytest.raises(RefusedError, match=r"ghost\.csv"):
            landing.take(Arrival("flights", "0" * 32, "ghost.csv", 1, 0.0))

    @pytest.mark.parametrize("name", ["../a.csv", "/etc/passwd", ".hidden", ""])
    def test_a_name_that_leads_elsewhere_or_is_hidden_cannot_land(self, landing: Landing, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match="cannot land"):
            dropped(landing, tmp_path, name, b"x")
