"""Real labels of a real month meet the real request log under the shipped spec."""

from pathlib import Path

import pyarrow.parquet as pq

from sluicegate.actions.land import commit, land
from sluicegate.actions.snapshot import known_rows
from sluicegate.actions.validate import run_validate
from sluicegate.domain.order import Order
from sluicegate.settings import Settings
from sluicegate.wiring import wire
from sluicegate_demo import flights_data as flights


def test_a_month_of_flights_is_accepted_whole_and_equals_what_training_tests_use(tmp_path: Path) -> None:
    ports = wire(Settings(home=tmp_path))
    flights.write_requests(ports.settings.data / "flights" / "history" / "requests-2013-02.parquet", [2])
    ports.landing.drop("flights", "labels-2013-02.csv", flights.write_labels(tmp_path / "labels.csv", [2]))
    (batch,) = land("flights", ports)
    folder = tmp_path / "result"
    folder.mkdir()
    result = run_validate(Order("validate", "flights", batch), ports, folder)
    assert commit("flights", batch["batch_id"], folder, ports)
    assert (result["reasons"], result["rows"]["duplicate"], result["blocked"]) == ({}, 0, False)
    assert ports.dataset.batches("flights")[0]["warnings"] == []
    rows = known_rows(pq.read_table(folder / "accepted.parquet"), None).to_pandas()
    wanted = flights.labelled([2])
    assert rows["request_id"].tolist() == wanted["request_id"].tolist()
    for column in ("event_time", "user", "label", "known_at", "humid", "seats", "distance"):
        assert (rows[column].astype(object).fillna(-1) == wanted[column].astype(object).fillna(-1)).all(), column
