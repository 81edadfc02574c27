"""The light tasks of ingest and retrain, over small stand-ins of landing and dataset."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sluicegate.domain.order import Order
from sluicegate.domain.rollout import Kind
from sluicegate.ports.landing import Arrival
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal
from sluicegate_airflow import ingest, retrain
from sluicegate_airflow.inputs import INPUTS


class OneFolder:
    """A landing area with the given files and a dataset that remembers what was committed."""

    def __init__(self, *names: str) -> None:
        self.files = [Arrival("toy", f"id-{n}", n, 1, 0.0) for n in names]
        self.gone: list[str] = []
        self.committed: set[str] = set()

    def waiting(self, model: str) -> list[Arrival]:
        return [a for a in self.files if a.batch_id not in self.gone]

    def take(self, arrival: Arrival) -> Path:
        self.gone.append(arrival.batch_id)
        return Path(arrival.batch_id)

    def taken(self, model: str) -> list[Arrival]:
        return [a for a in self.files if a.batch_id in self.gone]

    def batches(self, model: str) -> list[dict]:
        return [{"batch_id": b} for b in self.committed]

    def commit(self, model: str, batch_id: str, folder: Path) -> bool:
        new = batch_id not in self.committed
        self.committed.add(batch_id)
        return new

    def find(self, key: str) -> Path | None:
        return Path(key) if key == "checked" else None


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What was told to the next Dag."""
    events: list[dict] = []
    for module in (ingest, retrain):
        monkeypatch.setattr(module, "tell", lambda asset, extra: events.append(extra) or extra)
    return events


def world(monkeypatch: pytest.MonkeyPatch, *names: str) -> OneFolder:
    place = OneFolder(*names)
    monkeypatch.setattr(ingest, "wire", lambda: SimpleNamespace(landing=place, dataset=place, results=place))
    return place


def checked(rows: tuple[int, int, int, int] = (10, 8, 1, 1), **more: object) -> dict:
    counts = dict(zip(("in", "accepted", "quarantined", "duplicate"), rows, strict=True))
    return {"key": "checked", "batch_id": "b1", "rows": counts, "reasons": {"absurd": 1}, "blocked": False, **more}


class TestIngest:
    def test_every_waiting_file_is_taken_and_a_second_run_finds_nothing(self, monkeypatch) -> None:
        place = world(monkeypatch, "a.csv", "b.csv")
        landed = ingest.land.function("toy")
        assert [b["name"] for b in landed] == ["a.csv", "b.csv"]
        assert place.gone == ["id-a.csv", "id-b.csv"]
        place.committed = set(place.gone)
        with pytest.raises(AirflowSkipException, match="nothing new is waiting"):
            ingest.land.function("toy")

    def test_a_file_that_a_killed_run_took_is_done_by_the_next_one(self, monkeypatch) -> None:
        place = world(monkeypatch, "a.csv")
        assert ingest.land.function("toy") == ingest.land.function("toy")
        assert place.gone == ["id-a.csv"]

    def test_only_matching_files_are_taken_when_a_person_says_so(self, monkeypatch) -> None:
        world(monkeypatch, "labels-2013-01.csv", "labels-2014-01.csv")
        assert [b["name"] for b in ingest.land.function("toy", "*2013*")] == ["labels-2013-01.csv"]

    def test_a_batch_that_was_committed_before_is_not_new(self, monkeypatch) -> None:
        world(monkeypatch)
        assert [ingest.commit.function("toy", checked())["new"] for _ in range(2)] == [True, False]

    def test_a_batch_without_a_checked_result_is_refused(self, monkeypatch) -> None:
        world(monkeypatch)
        with pytest.raises(AirflowFailException, match="no checked result"):
            ingest.commit.function("toy", checked(key="lost"))

    def test_retrain_is_told_once_about_the_new_batches_only(self, monkeypatch, told) -> None:
        world(monkeypatch)
        new, old = (ingest.commit.function("toy", checked()) for _ in range(2))
        blocked = new | {"blocked": True}
        empty = new | {"rows": checked((3, 0, 3, 0))["rows"]}
        ingest.publish.function("asset", [old, new, blocked, empty])
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
        expected = {"train_key": "t", "snapshot_id": "s1", "champion_version": "3"}
        assert INPUTS["compare"](ports, "toy", given) == expected
        assert INPUTS["register"](ports, "toy", given) == {"train_key": "t", "compare_key": "c"}

    def test_release_is_told_about_a_released_version_and_no_other(self, told) -> None:
        retrain.publish.function("asset", {"version": "4", "verdict": "promote", "release": True})
        with pytest.raises(AirflowSkipException, match="comparison says reject"):
            retrain.publish.function("asset", {"version": "5", "verdict": "reject", "release": False})
        assert told == [{"version": "4", "verdict": "promote"}]
