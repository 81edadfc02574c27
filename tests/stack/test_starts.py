"""Three ways to start, all live: arrival, cron, by hand with typed params. A batch is taken once whichever of them fires."""

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.stack.conftest import Second, Stack, Study

pytestmark = pytest.mark.stack
MODEL = "visits"


class TestArrivalAndTwoPeopleAtOnce:
    def test_each_of_the_three_makes_a_run_that_ends_well(self, stack: "Stack", second: "Second") -> None:
        runs = stack.runs(f"{MODEL}_ingest")
        by_hand = {r["dag_run_id"]: r["state"] for r in runs if r["run_type"] == "manual"}
        assert {by_hand[run] for run in second.manual} == {"success"}
        assert {r["state"] for r in runs} == {"success"}

    def test_the_file_is_taken_and_committed_once(self, stack: "Stack", second: "Second") -> None:
        batch = hashlib.sha256(second.labels.read_bytes()).hexdigest()[:32]
        assert [a.batch_id for a in stack.ports.landing.taken(MODEL)].count(batch) == 1
        assert [r["batch_id"] for r in stack.ports.dataset.batches(MODEL)].count(batch) == 1
        assert stack.ports.landing.waiting(MODEL) == []

    def test_no_row_is_lost_or_taken_twice(self, stack: "Stack", study: "Study", second: "Second") -> None:
        reports = {r["name"]: r["rows"] for r in stack.ports.dataset.batches(MODEL)}
        assert reports[second.labels.name] == {"in": second.rows, "accepted": second.rows, "quarantined": 0, "duplicate": 0}
        early = len(study.days(0, 720))
        assert reports["labels-of-two-years.csv"] == {"in": early, "accepted": early, "quarantined": 0, "duplicate": 0}

    def test_only_the_run_that_committed_it_tells_retrain(self, stack: "Stack", second: "Second") -> None:
        assert len(stack.runs(f"{MODEL}_retrain")) == 2


def test_cron_alone_takes_a_file_where_arrival_is_switched_off(stack: "Stack") -> None:
    reports = stack.until("a run by cron", lambda: stack.ports.dataset.batches("by_cron"), 100)
    assert [r["name"] for r in reports] == ["for-cron.csv"]
    assert {r["run_type"] for r in stack.runs("by_cron_ingest")} == {"scheduled"}


class TestByHand:
    def test_a_typed_param_chooses_the_files_that_are_taken(self, stack: "Stack", study: "Study") -> None:
        for name, day in (("june.csv", 5), ("july.csv", 6)):
            stack.land(study.days(day, day + 1).write_labels(stack.folder / name), "by_hand")
        assert stack.trigger("by_hand_ingest", only="june*").status_code == 200
        stack.until("the run by hand", lambda: [r["state"] for r in stack.runs("by_hand_ingest")] == ["success"])
        assert [r["name"] for r in stack.ports.dataset.batches("by_hand")] == ["june.csv"]
        assert [a.name for a in stack.ports.landing.waiting("by_hand")] == ["july.csv"]

    @pytest.mark.parametrize(
        ("dag", "params"),
        [
            ("ingest", {"only": 6}),
            ("retrain", {"as_of": "yesterday"}),
            ("release", {"version": "three"}),
            ("release", {"version": 3}),
        ],
    )
    def test_a_param_of_the_wrong_type_is_refused_and_nothing_starts(
        self, stack: "Stack", dag: str, params: dict[str, object]
    ) -> None:
        before = len(stack.runs(f"by_hand_{dag}"))
        answer = stack.trigger(f"by_hand_{dag}", **params)
        assert 400 <= answer.status_code < 500, answer.text
        assert next(iter(params)) in answer.text
        assert len(stack.runs(f"by_hand_{dag}")) == before
