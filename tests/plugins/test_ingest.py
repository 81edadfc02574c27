"""The light tasks of ingest and retrain, over real folders."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.folder_landing import FolderLanding
from sluicegate.adapters.folder_results import FolderResults
from sluicegate.domain.order import Order
from sluicegate.domain.rollout import Kind
from sluicegate.settings import Settings
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal
from sluicegate_airflow import ingest, retrain
from sluicegate_airflow.inputs import INPUTS


class World:
    """Real folders under `home`: landing, dataset and results of the local profile."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.landing = FolderLanding(self.settings)
        self.dataset = FolderDataset(self.settings)
        self.results = FolderResults(self.settings)

    def drop(self, name: str) -> None:
        source = self.settings.home / name
        source.write_text(f"request_id\n{name}\n")
        self.landing.drop("toy", name, source)

    def check(self, batch: dict[str, str]) -> dict[str, object]:
        """What the order `validate` commits: one accepted row, and what its task returns."""
        folder = self.settings.home / f"work-{batch['batch_id']}"
        if folder.exists():
            shutil.rmtree(folder)  # published files share their bytes with it
        folder.mkdir()
        rows = {"in": 1, "accepted": 1, "quarantined": 0, "duplicate": 0}
        report = {"batch_id": batch["batch_id"], "rows": rows}
        (folder / "report.json").write_text(json.dumps(report))
        pq.write_table(pa.table({"request_id": ["a"]}), folder / "accepted.parquet")
        pq.write_table(pa.table({"request_id": pa.array([], pa.string())}), folder / "quarantined.parquet")
        self.results.commit(f"key-{batch['batch_id']}", folder)
        return {"key": f"key-{batch['batch_id']}", "reasons": {}, "blocked": False, **report}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    place = World(tmp_path)
    monkeypatch.setattr(ingest, "wire", lambda: place)
    return place


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What was told to the next Dag."""
    events: list[dict] = []
    for module in (ingest, retrain):
        monkeypatch.setattr(module, "tell", lambda asset, extra: events.append(extra) or extra)
    return events


def checked(rows: tuple[int, int, int, int] = (10, 8, 1, 1), **more: object) -> dict:
    counts = dict(zip(("in", "accepted", "quarantined", "duplicate"), rows, strict=True))
    return {"key": "checked", "batch_id": "b1", "rows": counts, "reasons": {"absurd": 1}, "blocked": False, **more}


class TestIngest:
    def test_every_waiting_file_is_taken_and_a_run_after_the_commit_finds_nothing(self, world) -> None:
        for name in ("a.csv", "b.csv"):
            world.drop(name)
        landed = ingest.land.function("toy")
        assert sorted(b["name"] for b in landed) == ["a.csv", "b.csv"]
        for batch in landed:
            ingest.commit.function("toy", world.check(batch))
        with pytest.raises(AirflowSkipException, match="nothing new is waiting"):
            ingest.land.function("toy")

    def test_a_file_that_a_killed_run_took_is_done_by_the_next_one(self, world) -> None:
        world.drop("a.csv")
        assert ingest.land.function("toy") == ingest.land.function("toy")

    def test_only_matching_files_are_done_when_a_person_says_so(self, world) -> None:
        for name in ("labels-2013-01.csv", "labels-2014-01.csv"):
            world.drop(name)
        assert [b["name"] for b in ingest.land.function("toy", "*2013*")] == ["labels-2013-01.csv"]

    def test_a_batch_that_another_run_committed_is_not_new(self, world) -> None:
        world.drop("a.csv")
        (batch,) = ingest.land.function("toy")
        assert [ingest.commit.function("toy", world.check(batch))["new"] for _ in range(2)] == [True, False]

    def test_a_batch_without_a_checked_result_is_refused(self, world) -> None:
        with pytest.raises(AirflowFailException, match="no checked result"):
            ingest.commit.function("toy", checked(key="lost"))

    def test_retrain_is_told_once_about_the_new_batches_only(self, told) -> None:
        new = {"batch_id": "b1", "new": True, "blocked": False, "rows": checked()["rows"]}
        others = [new | {"new": False}, new | {"blocked": True}, new | {"rows": checked((3, 0, 3, 0))["rows"]}]
        ingest.publish.function("asset", [*others, new])
        assert told == [{"batches": ["b1"], "rows": 8}]

    @pytest.mark.parametrize("committed", [None, []])
    def test_retrain_is_not_told_when_nothing_is_new(self, told, committed) -> None:
        with pytest.raises(AirflowSkipException):
            ingest.publish.function("asset", committed)
        assert told == []

    def test_a_lost_row_fails_the_run(self) -> None:
        with pytest.raises(AirflowFailException, match="do not add up"):
            ingest.account.function([checked((10, 8, 1, 0))])

    def test_the_rows_of_all_batches_are_added_up(self) -> None:
        assert ingest.account.function([checked(), checked()]) == {"in": 20, "accepted": 16, "quarantined": 2, "duplicate": 2}


class TestRetrain:
    @pytest.fixture
    def ports(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        folder = tmp_path / "toy"
        folder.mkdir()
        (folder / "spec.yaml").write_text("model: toy")
        (folder / "features.py").write_text("def features(row): return {}")
        spec = SimpleNamespace(training=SimpleNamespace(seed=7))
        journal = MemoryJournal(VirtualClock())
        reports = [{"batch_id": "b2"}, {"batch_id": "b1"}]
        ports = SimpleNamespace(
            settings=SimpleNamespace(models=tmp_path),
            spec=lambda model: spec,
            journal=journal,
            dataset=SimpleNamespace(batches=lambda model: reports),
        )
        monkeypatch.setattr(retrain, "wire", lambda: ports)
        return ports

    def key(self, ports: SimpleNamespace) -> str:
        return Order("train", "toy", INPUTS["train"](ports, "toy", {"snapshot": {"snapshot_id": "s1"}})).key

    def test_a_snapshot_is_made_of_all_committed_batches(self, ports) -> None:
        assert INPUTS["snapshot"](ports, "toy", {"as_of": ""}) == {"as_of": None, "batches": ["b1", "b2"]}

    def test_the_same_data_and_code_have_the_same_training(self, ports) -> None:
        assert self.key(ports) == self.key(ports)

    @pytest.mark.parametrize("name", ["spec.yaml", "features.py"])
    def test_a_changed_file_of_the_model_is_another_training(self, ports, name: str) -> None:
        before = self.key(ports)
        (ports.settings.models / "toy" / name).write_text("changed")
        assert self.key(ports) != before

    def test_what_was_trained_and_registered_before_is_skipped_with_its_version(self, ports) -> None:
        assert retrain.changed.function("toy", {"snapshot_id": "s1"})["snapshot_id"] == "s1"
        data = {"version": "4", "train_key": self.key(ports)}
        ports.journal.append("toy", "", Kind.REGISTERED, data, author="test")
        with pytest.raises(AirflowSkipException, match="version 4 was trained from exactly this"):
            retrain.changed.function("toy", {"snapshot_id": "s1"})

    def test_champion_and_keys_of_earlier_orders_go_into_the_comparison(self, ports) -> None:
        ports.journal.append("toy", "r1", Kind.PROMOTED, {"candidate": "3"}, author="test")
        given = {"train": {"key": "t"}, "snapshot": {"snapshot_id": "s1"}, "compare": {"key": "c"}}
        for key, champion in (("a", "2"), ("b", "3"), ("c", "3"), ("c", "3")):
            ports.journal.append("toy", "", Kind.REGISTERED, {"train_key": key, "champion": champion}, author="test")
        expected = {"train_key": "t", "snapshot_id": "s1", "champion_version": "3", "look": 3}
        assert INPUTS["compare"](ports, "toy", given) == expected
        assert INPUTS["register"](ports, "toy", given) == {"train_key": "t", "compare_key": "c"}

    def test_release_is_told_about_a_released_version_and_no_other(self, told) -> None:
        retrain.publish.function("asset", {"version": "4", "verdict": "promote", "release": True})
        with pytest.raises(AirflowSkipException, match="comparison says reject"):
            retrain.publish.function("asset", {"version": "5", "verdict": "reject", "release": False})
        assert told == [{"version": "4", "verdict": "promote"}]
