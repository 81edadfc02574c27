"""The light ends of ingest: everything that landed is named until it is committed, and what is committed adds up."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sluicegate.actions.land import commit, land, readmit
from sluicegate.errors import RefusedError
from sluicegate.testing.ingest_world import World, csv, told


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestLand:
    def test_waiting_files_are_taken_and_named_oldest_first(self, world: World) -> None:
        for name in ("b.csv", "a.csv"):
            world.drop(name, name.encode())
        assert [b["name"] for b in land("toy", world.ports)] == ["b.csv", "a.csv"]
        assert world.ports.landing.waiting("toy") == []

    def test_a_batch_taken_but_never_committed_is_named_again(self, world: World) -> None:
        world.drop("a.csv", csv([told(1)]))
        first = land("toy", world.ports)
        assert land("toy", world.ports) == first
        world.validate(first[0])
        assert land("toy", world.ports) == []

    def test_the_same_bytes_landed_again_are_not_named_again(self, world: World) -> None:
        world.land(csv([told(1)]), "a.csv")
        world.drop("again.csv", csv([told(1)]))
        assert land("toy", world.ports) == []

    def test_the_same_bytes_under_two_names_are_one_batch(self, world: World) -> None:
        world.drop("a.csv", csv([told(1)]))
        world.drop("b.csv", csv([told(1)]))
        assert [b["name"] for b in land("toy", world.ports)] == ["a.csv"]

    def test_nothing_that_landed_names_nothing(self, world: World) -> None:
        assert land("toy", world.ports) == []


class TestCommit:
    def test_the_second_commit_of_a_batch_says_that_it_was_there(self, world: World) -> None:
        outcome = world.land(csv([told(1)]))
        assert commit("toy", outcome.batch_id, outcome.folder, world.ports) is False

    def test_the_result_of_another_batch_is_refused(self, world: World) -> None:
        outcome = world.land(csv([told(1)]))
        with pytest.raises(RefusedError, match="b2"):
            commit("toy", "b2", outcome.folder, world.ports)

    @pytest.mark.parametrize("file", ["accepted.parquet", "quarantined.parquet"])
    def test_rows_that_do_not_add_up_are_refused(self, world: World, tmp_path: Path, file: str) -> None:
        outcome = world.land(csv([told(1), told(2, loss="x")]))
        other = World(tmp_path / "other")
        table = pq.read_table(outcome.folder / file)
        pq.write_table(table.slice(0, 0), outcome.folder / file)
        with pytest.raises(RefusedError, match="do not add up"):
            commit("toy", outcome.batch_id, outcome.folder, other.ports)
        assert other.ports.dataset.batches("toy") == []

    def test_a_report_that_does_not_add_up_is_refused(self, world: World, tmp_path: Path) -> None:
        outcome = world.land(csv([told(1)]))
        report = outcome.report
        report["rows"]["in"] = 2
        (outcome.folder / "report.json").write_text(json.dumps(report))
        with pytest.raises(RefusedError, match="do not add up"):
            commit("toy", outcome.batch_id, outcome.folder, World(tmp_path / "other").ports)


class TestReadmit:
    def test_quarantined_rows_land_again_as_a_batch_of_their_own(self, world: World) -> None:
        outcome = world.land(csv([told(1), told(2, loss="x"), told(3, loss="y")]) + b"torn line\n")
        assert readmit("toy", outcome.batch_id, world.ports) is not None
        (batch,) = land("toy", world.ports)
        again = world.validate(batch)
        assert again.rows == {"in": 2, "accepted": 0, "quarantined": 2, "duplicate": 0}
        assert again.reasons == {"r2": "wrong_type", "r3": "wrong_type"}

    def test_a_batch_without_quarantined_rows_has_nothing_to_readmit(self, world: World) -> None:
        outcome = world.land(csv([told(1)]))
        assert readmit("toy", outcome.batch_id, world.ports) is None
