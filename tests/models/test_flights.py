"""The flights model as it is shipped: its data are real and know nothing of the future; its features are fast and in order."""

import json
import re
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from sluicegate.settings import Settings
from sluicegate.wiring import read_spec
from sluicegate_demo import flights_data as flights

MODELS = Settings().models


@pytest.fixture(scope="module")
def features() -> Callable[[dict[str, Any]], dict[str, float]]:
    return runpy.run_path(str(MODELS / "flights" / "features.py"))["features"]


@pytest.fixture(scope="module")
def july() -> pd.DataFrame:
    return flights.requests(7)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """As a server gets them: JSON types, null where nothing is known."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


class TestSpec:
    def test_the_spec_is_valid_and_its_plan_is_a_mirror_and_four_weights(self) -> None:
        spec = read_spec(Settings(), "flights")
        assert [s.name for s in spec.release.stages] == ["mirror", "weight_005", "weight_025", "weight_050", "weight_100"]
        assert (spec.data.user_id, spec.data.label.field, spec.data.label.above) == ("tailnum", "arr_delay", 15)
        assert (spec.training.holdout.length, spec.training.holdout.embargo) == (31 * 86400, 86400)

    def test_inputs_are_exactly_the_fields_of_a_request(self, july: pd.DataFrame) -> None:
        assert ["request_id", "event_time", "tailnum", *read_spec(Settings(), "flights").data.inputs] == list(july)

    @pytest.mark.parametrize("metar", [False, True])
    def test_every_real_request_is_inside_the_spec_in_either_unit(self, metar: bool) -> None:
        inputs = read_spec(Settings(), "flights").data.inputs
        asked = flights.requests(8, metar=metar)
        for name, field in inputs.items():
            if field.type in ("number", "integer"):
                assert asked[name].min() >= field.min
                assert asked[name].max() <= field.max
            assert not (field.required and asked[name].isna().any())


class TestFeatures:
    def test_champion_uses_neither_temperature_nor_pressure(self, features: Callable, july: pd.DataFrame) -> None:
        row = rows(july.head(1))[0]
        assert features({k: v for k, v in row.items() if k not in ("temp", "dewp", "pressure")}) == features(row)

    def test_every_feature_is_a_float_in_the_same_order(self, features: Callable, july: pd.DataFrame) -> None:
        found = [features(row) for row in rows(july.head(2000))]
        assert len({tuple(f) for f in found}) == 1
        assert all(type(v) is float for f in found for v in f.values())

    def test_what_is_missing_is_nan_and_what_is_unknown_is_minus_one(self, features: Callable, july: pd.DataFrame) -> None:
        row = {**rows(july.head(1))[0], "seats": None, "plane_year": None, "wind_gust": None, "carrier": "ZZ", "dest": "XXX"}
        found = features(row)
        assert all(found[name] != found[name] for name in ("seats", "plane_age", "wind_gust"))
        assert (found["carrier"], found["dest"]) == (-1.0, -1.0)

    def test_a_known_flight_has_the_features_a_person_would_write(self, features: Callable, july: pd.DataFrame) -> None:
        row = rows(july.head(1))[0]
        found = features({**row, "event_time": "2013-07-05T03:30:00Z", "sched_dep": 2330, "sched_arr": 45, "plane_year": 2003})
        assert found["departure"] == 23 * 60 + 30
        assert found["local_duration"] == 75
        assert found["weekday"] == 3  # still Thursday the 4th in New York
        assert found["plane_age"] == 10

    def test_a_row_takes_microseconds(self, features: Callable, july: pd.DataFrame) -> None:
        asked = rows(july.head(5000))
        best = float("inf")
        for _ in range(5):
            begun = time.process_time()
            for row in asked:
                features(row)
            best = min(best, (time.process_time() - begun) / len(asked))
        assert best < 8e-6  # measured 1.8


class TestData:
    def test_a_request_is_named_after_its_flight_and_asked_once(self, july: pd.DataFrame) -> None:
        assert july["request_id"].is_unique
        assert july["request_id"].str.fullmatch(r"2013-07-\d\d/[A-Z0-9]{2}/\d+/[A-Z]{3}/\d+").all()
        assert len(july) > 28_000

    def test_a_request_carries_nothing_that_was_known_only_later(self, july: pd.DataFrame) -> None:
        assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "known_at"} & set(july)

    def test_the_weather_of_a_request_was_observed_before_it(self, july: pd.DataFrame) -> None:
        weather = pd.read_csv(flights._csv("weather.csv"))
        observed = weather[(weather["origin"] == "EWR") & (weather["time_hour"] == "2013-07-04T12:00:00Z")].iloc[0]
        mine = july[(july["origin"] == "EWR") & july["event_time"].between("2013-07-04T13:00:00Z", "2013-07-04T13:59:00Z")]
        assert len(mine) > 5
        assert (mine["humid"] == observed["humid"]).all()

    def test_labels_are_known_after_their_event_and_lie_in_the_order_of_knowing(self) -> None:
        told = flights.labels(7)
        assert (told["known_at"] > told["event_time"]).all()
        assert told["known_at"].is_monotonic_increasing

    def test_a_flight_that_never_arrived_is_asked_about_and_never_labelled(self, july: pd.DataFrame) -> None:
        told = flights.labels(7)
        assert set(told["request_id"]) < set(july["request_id"])

    def test_the_arrival_is_told_in_the_time_of_its_own_zone(self) -> None:
        told = flights.labels(1).set_index("request_id")
        # UA 1545 left Newark on January 1st, was to land in Houston at 08:19 Central, and was 11 minutes late
        assert told.loc["2013-01-01/UA/1545/EWR/515", "known_at"] == "2013-01-01T14:30:00Z"

    def test_an_aviation_report_has_other_units_and_is_otherwise_the_same(self) -> None:
        ours, theirs = flights.requests(8), flights.requests(8, metar=True)
        assert ((ours["temp"] - 32) / 1.8 - theirs["temp"]).abs().max() < 0.06
        assert (ours["pressure"] / 33.8639 - theirs["pressure"]).abs().max() < 0.006
        same = [c for c in ours if c not in ("temp", "dewp", "pressure")]
        pd.testing.assert_frame_equal(ours[same], theirs[same])

    def test_request_files_hold_json_types_with_nulls(self, tmp_path: Path) -> None:
        path = flights.write_requests(tmp_path / "r.parquet", [2])
        first = pq.read_table(path).slice(0, 500).to_pylist()
        json.dumps(first, allow_nan=False)
        assert {type(r["seats"]) for r in first} == {int, type(None)}
        assert all(re.fullmatch(r"2013-0[23]-\d\dT\d\d:\d\d:00Z", r["event_time"]) for r in first)

    def test_labelled_months_have_the_columns_of_a_snapshot(self) -> None:
        from sluicegate.actions.ingest.write import accepted_schema

        found = flights.labelled([1])
        assert list(found) == accepted_schema(read_spec(Settings(), "flights").data).names
        assert found["event_time"].is_monotonic_increasing
        assert 0.15 < (found["label"] > 15).mean() < 0.35
