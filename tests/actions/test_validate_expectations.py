"""The spec's expectations, by Great Expectations: rows to quarantine, batches blocked, warnings told, nonsense refused."""

from pathlib import Path
from typing import Any

import pytest

from sluicegate.errors import SpecError
from sluicegate.testing.ingest_world import Outcome, World, asked, csv, told


def landed(home: Path, *expectations: dict[str, Any], labels: bytes | None = None) -> Outcome:
    """Four labels, of which r2 has the loss 50, under these expectations."""
    world = World(home, expectations=list(expectations))
    rows = csv([told(1), told(2, loss=50), told(3), told(4)]) if labels is None else labels
    return world.land(rows)


def expect(name: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"expect": name, "severity": severity, "kwargs": kwargs}


class TestRows:
    def test_a_row_that_breaks_a_critical_expectation_waits_with_name_value_and_place(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("ExpectColumnValuesToBeBetween", column="loss", max_value=10))
        assert outcome.rows == {"in": 4, "accepted": 3, "quarantined": 1, "duplicate": 0}
        assert outcome.reasons == {"r2": "expect_column_values_to_be_between"}
        for part in ("line 3", "50", "max_value 10", "spec.yaml"):
            assert part in outcome.messages[0]
        (critical,) = outcome.report["critical"]
        assert (critical["expectation"], critical["rows"]) == ("expect_column_values_to_be_between", 1)
        assert not outcome.result["blocked"]

    def test_snake_case_names_the_same_expectation(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("expect_column_values_to_match_regex", column="card", regex="^c[134]$"))
        assert outcome.reasons == {"r2": "expect_column_values_to_match_regex"}

    def test_pairs_of_columns_are_judged_row_by_row(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("ExpectColumnPairValuesAToBeGreaterThanB", column_A="amount", column_B="loss"))
        assert outcome.reasons == {"r2": "expect_column_pair_values_a_to_be_greater_than_b"}

    def test_the_first_of_two_broken_expectations_names_the_row(self, tmp_path: Path) -> None:
        outcome = landed(
            tmp_path,
            expect("ExpectColumnValuesToBeBetween", column="loss", max_value=10),
            expect("ExpectColumnValuesToNotBeInSet", column="loss", value_set=[50.0]),
        )
        assert outcome.reasons == {"r2": "expect_column_values_to_be_between"}
        assert len(outcome.report["critical"]) == 2

    def test_rows_tolerated_by_mostly_are_accepted(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("ExpectColumnValuesToBeBetween", column="loss", max_value=10, mostly=0.5))
        assert outcome.rows["accepted"] == 4

    def test_a_mostly_that_is_missed_blocks_the_batch(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("ExpectColumnValuesToBeBetween", column="loss", max_value=10, mostly=0.9))
        assert outcome.rows["quarantined"] == 4
        assert outcome.result["blocked"]

    def test_a_critical_expectation_of_uniqueness_sees_no_word_for_word_repetition(self, tmp_path: Path) -> None:
        labels = csv([told(1), told(1), told(2)])
        outcome = landed(tmp_path, expect("ExpectColumnValuesToBeUnique", column="request_id"), labels=labels)
        assert outcome.rows == {"in": 3, "accepted": 2, "quarantined": 0, "duplicate": 1}


class TestTable:
    def test_a_critical_expectation_about_the_table_blocks_the_whole_batch(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("ExpectColumnMeanToBeBetween", column="loss", max_value=5))
        assert outcome.rows == {"in": 4, "accepted": 0, "quarantined": 4, "duplicate": 0}
        assert set(outcome.reasons.values()) == {"expect_column_mean_to_be_between"}
        assert outcome.result["blocked"]
        assert "13.6" in outcome.result["message"]
        assert "max_value 5" in outcome.result["message"]

    def test_a_blocked_batch_leaves_nothing_for_snapshots(self, tmp_path: Path) -> None:
        labels = csv([told(1), told(1, loss=900), told(1)])
        outcome = landed(tmp_path, expect("ExpectColumnMeanToBeBetween", column="loss", max_value=-5), labels=labels)
        assert outcome.rows["quarantined"] + outcome.rows["duplicate"] == 3
        assert outcome.table("accepted") == outcome.table("duplicates") == []

    def test_the_table_is_judged_without_the_rows_already_refused(self, tmp_path: Path) -> None:
        outcome = landed(
            tmp_path,
            expect("ExpectColumnValuesToBeBetween", column="loss", max_value=10),
            expect("ExpectColumnMeanToBeBetween", column="loss", max_value=5),
        )
        assert outcome.rows == {"in": 4, "accepted": 3, "quarantined": 1, "duplicate": 0}

    def test_a_table_without_rows_breaks_nothing(self, tmp_path: Path) -> None:
        outcome = landed(tmp_path, expect("ExpectTableRowCountToBeBetween", min_value=1), labels=csv([told(999)]))
        assert outcome.reasons == {"r999": "no_prediction"}

    def test_a_batch_is_judged_with_its_duplicates_so_that_order_of_arrival_does_not_matter(self, tmp_path: Path) -> None:
        world = World(tmp_path, expectations=[expect("ExpectColumnMeanToBeBetween", column="loss", max_value=5)])
        world.land(csv([told(1), told(2)]), "a.csv")
        assert world.land(csv([told(1), told(2), told(3, loss=8)]), "b.csv").rows == {
            "in": 3,
            "accepted": 1,
            "quarantined": 0,
            "duplicate": 2,
        }

    def test_columns_of_the_table_are_known_by_the_names_of_the_spec(self, tmp_path: Path) -> None:
        names = ["request_id", "event_time", "card", "amount", "items", "kind", "loss", "known_at", "score", "version"]
        assert landed(tmp_path, expect("ExpectTableColumnsToMatchSet", column_set=names)).rows["accepted"] == 4


class TestWarnings:
    def test_a_warning_is_reported_and_changes_nothing(self, tmp_path: Path) -> None:
        outcome = landed(
            tmp_path,
            expect("ExpectColumnValuesToBeBetween", "warning", column="loss", max_value=10),
            expect("ExpectColumnMeanToBeBetween", "warning", column="loss", max_value=5),
        )
        assert outcome.rows["accepted"] == 4
        assert [w["expectation"] for w in outcome.report["warnings"]] == [
            "expect_column_values_to_be_between",
            "expect_column_mean_to_be_between",
        ]
        assert outcome.report["critical"] == []

    def test_expectations_that_hold_are_silent(self, tmp_path: Path) -> None:
        report = landed(
            tmp_path, expect("ExpectColumnValuesToNotBeNull", column="amount"), expect("ExpectColumnToExist", column="kind")
        ).report
        assert (report["critical"], report["warnings"]) == ([], [])


class TestNonsense:
    def test_an_unknown_expectation_is_refused_with_near_names(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match=r"toy/spec.yaml.*ExpectColumnValuesToBeBetwen.*expect_column_values_to_be_between"):
            landed(tmp_path, expect("ExpectColumnValuesToBeBetwen", column="loss"))

    def test_an_unknown_argument_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="does not take"):
            landed(tmp_path, expect("ExpectColumnValuesToBeBetween", column="loss", maximum=3))

    def test_a_column_that_nobody_knows_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="lossy"):
            landed(tmp_path, expect("ExpectColumnValuesToBeBetween", column="lossy", max_value=3))

    def test_the_file_waits_for_the_mended_spec(self, tmp_path: Path) -> None:
        world = World(tmp_path, expectations=[expect("ExpectNonsense")])
        with pytest.raises(SpecError):
            world.land(csv([told(1)]))
        from sluicegate.actions.land import land

        assert [b["name"] for b in land("toy", world.ports)] == ["labels.csv"]


def test_absent_values_of_an_optional_input_can_be_judged(tmp_path: Path) -> None:
    world = World(tmp_path, expectations=[expect("ExpectColumnValuesToNotBeNull", column="items")])
    world.log("more.jsonl", [asked(500, items=None)])
    assert world.land(csv([told(1), told(500)])).reasons == {"r500": "expect_column_values_to_not_be_null"}
