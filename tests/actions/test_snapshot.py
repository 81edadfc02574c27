"""A snapshot depends on what was said and by when, and on nothing else."""

import json
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.actions.snapshot import content_id, run_snapshot
from sluicegate.domain.order import Order
from sluicegate.errors import OrderError, RefusedError
from sluicegate.testing.ingest_world import World, csv, told

EARLY, LATE = "2023-06-01T00:00:00Z", "2023-07-01T00:00:00Z"


def snapshot(world: World, as_of: Any = None, batches: Iterable[str] | None = None) -> tuple[dict[str, Any], Path]:
    """Manifest and folder of a snapshot of everything that is committed."""
    known = [r["batch_id"] for r in world.ports.dataset.batches("toy")] if batches is None else list(batches)
    order = Order("snapshot", "toy", {"as_of": as_of, "batches": known})
    folder = world.home / f"snapshot-{order.key}"
    folder.mkdir(exist_ok=True)
    manifest = run_snapshot(order, world.ports, folder)
    return manifest, world.ports.dataset.snapshot("toy", manifest["snapshot_id"])


def rows(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "data.parquet").to_pylist()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestAsOf:
    def test_a_label_known_only_later_is_never_in_it(self, world: World) -> None:
        world.land(csv([told(1, known_at=EARLY), told(2, known_at=LATE)]))
        assert [r["request_id"] for r in rows(snapshot(world, "2023-06-15")[1])] == ["r1"]

    def test_a_label_known_at_that_very_moment_is_in_it(self, world: World) -> None:
        world.land(csv([told(1, known_at=EARLY)]))
        assert snapshot(world, EARLY)[0]["rows"] == 1

    def test_a_corrected_label_counts_from_the_moment_it_was_known(self, world: World) -> None:
        world.land(csv([told(1, loss=1, known_at=EARLY)]), "a.csv")
        world.land(csv([told(1, loss=2, known_at=LATE)]), "b.csv")
        assert [r["label"] for r in rows(snapshot(world, "2023-06-15")[1])] == [1.0]
        assert [r["label"] for r in rows(snapshot(world)[1])] == [2.0]

    @pytest.mark.parametrize(
        "as_of", ["2023-06-15T00:00:00Z", "2023-06-15", "2023-06-15T02:00:00+02:00", 1686787200, 1686787200.0]
    )
    def test_the_same_moment_written_differently_gives_the_same_snapshot(self, world: World, as_of: Any) -> None:
        world.land(csv([told(1), told(2, known_at=LATE)]))
        manifest, _ = snapshot(world, as_of)
        assert (manifest["as_of"], manifest["rows"]) == ("2023-06-15T00:00:00Z", 1)

    @pytest.mark.parametrize("as_of", ["soon", [], 1e99])
    def test_a_time_that_is_none_is_refused(self, world: World, as_of: Any) -> None:
        world.land(csv([told(1)]))
        with pytest.raises(OrderError, match="as_of"):
            snapshot(world, as_of)

    def test_nothing_known_yet_is_refused(self, world: World) -> None:
        world.land(csv([told(1)]))
        with pytest.raises(RefusedError, match="no labelled row"):
            snapshot(world, "2020-01-01")


class TestContent:
    def test_rows_are_ordered_by_event_time_then_request_id(self, world: World) -> None:
        world.land(csv([told(61), told(3), told(10), told(2)]))
        assert [r["request_id"] for r in rows(snapshot(world)[1])] == ["r2", "r3", "r10", "r61"]

    def test_any_order_of_arrival_gives_the_same_bytes(self, tmp_path: Path) -> None:
        files = [
            csv([told(1), told(2)]),
            csv([told(2, loss=7, known_at=LATE), told(3), told(3)]),
            csv([told(3, loss=9), told(4), told(5, loss="x")]),
        ]
        seen = set()
        for number, order in enumerate(permutations(range(3))):
            world = World(tmp_path / str(number))
            for place in order:
                world.land(files[place], f"{place}.csv")
            manifest, folder = snapshot(world)
            seen.add((manifest["snapshot_id"], (folder / "data.parquet").read_bytes()))
        assert len(seen) == 1

    def test_replay_and_duplication_give_the_same_bytes(self, tmp_path: Path) -> None:
        once, often = World(tmp_path / "once"), World(tmp_path / "often")
        once.land(csv([told(1), told(2), told(3)]))
        often.land(csv([told(3), told(1)]), "a.csv")
        often.land(csv([told(1), told(1), told(2)]), "b.csv")
        often.land(csv([told(1), told(2), told(3)]), "c.csv")
        (one, first), (two, second) = snapshot(once), snapshot(often)
        assert one["snapshot_id"] == two["snapshot_id"]
        assert (first / "data.parquet").read_bytes() == (second / "data.parquet").read_bytes()

    def test_two_labels_known_at_the_same_moment_are_settled_by_content(self, tmp_path: Path) -> None:
        found = []
        for number, order in enumerate(((1, 2), (2, 1))):
            world = World(tmp_path / str(number))
            for loss in order:
                world.land(csv([told(1, loss=loss)]), f"{loss}.csv")
            found.append(rows(snapshot(world)[1]))
        assert found[0] == found[1]

    def test_the_manifest_says_what_it_holds(self, world: World) -> None:
        outcome = world.land(csv([told(1), told(61)]))
        manifest, folder = snapshot(world)
        assert json.loads((folder / "manifest.json").read_text()) == manifest
        assert manifest == {
            "snapshot_id": manifest["snapshot_id"],
            "model": "toy",
            "as_of": None,
            "rows": 2,
            "batches": [outcome.batch_id],
            "first_event": "2023-03-01T00:01:00Z",
            "last_event": "2023-03-01T01:01:00Z",
        }

    def test_a_batch_that_is_not_committed_is_refused(self, world: World) -> None:
        with pytest.raises(RefusedError, match="b404"):
            snapshot(world, batches=["b404"])


class TestContentId:
    TABLE = pa.table(
        {"request_id": ["a", "bc", None], "label": [1.0, None, 0.0], "items": [1, None, 0], "flag": [True, None, False]}
    )

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("request_id", ["ab", "c", None]),
            ("request_id", ["a", "bc", ""]),
            ("label", [1.0, 0.0, 0.0]),
            ("label", [1.0, None, -0.0]),
            ("items", [1, 0, 0]),
            ("flag", [True, False, False]),
        ],
    )
    def test_changing_one_cell_changes_the_id(self, column: str, values: list[Any]) -> None:
        changed = self.TABLE.set_column(self.TABLE.column_names.index(column), column, pa.array(values))
        assert content_id("toy", changed) != content_id("toy", self.TABLE)

    def test_another_model_or_another_column_name_is_another_id(self) -> None:
        assert content_id("other", self.TABLE) != content_id("toy", self.TABLE)
        assert content_id("toy", self.TABLE.rename_columns(["a", "b", "c", "d"])) != content_id("toy", self.TABLE)

    def test_how_the_table_is_cut_into_chunks_does_not_matter(self) -> None:
        pieces = pa.concat_tables([self.TABLE.slice(0, 1), self.TABLE.slice(1)])
        assert content_id("toy", pieces) == content_id("toy", self.TABLE)
