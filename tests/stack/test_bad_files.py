"""Bad files land on the running stack: the Dag ends well, no row is lost, and what cannot be read is kept whole."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from tests.stack.conftest import Second, Stack, Study

pytestmark = pytest.mark.stack
MODEL = "visits"


@dataclass(frozen=True)
class Bad:
    """A file that landed: its bytes, and what became of it."""

    content: bytes
    rows: int
    """Rows that a person would count in it; 0 when it cannot be read."""
    report: dict[str, Any]


@pytest.fixture(scope="module")
def landed(stack: "Stack", study: "Study", second: "Second") -> dict[str, Bad]:
    """All kinds of bad files at once, made from labels of requests that were served; retrain is paused, the rows are a test's."""
    assert stack.api("PATCH", f"/dags/{MODEL}_retrain", {"is_paused": True}).status_code == 200
    counted = write_bad_files(stack.folder / "bad", study)
    contents = {name: (stack.folder / "bad" / name).read_bytes() for name in counted}
    for name in counted:
        stack.land(stack.folder / "bad" / name)
    known = stack.until("all reports", lambda: reports(stack, contents), 120)
    stack.until("the last run's end", lambda: stack.idle("ingest"), 60)
    return {name: Bad(contents[name], counted[name], known[name]) for name in contents}


def reports(stack: "Stack", contents: dict[str, bytes]) -> dict[str, dict[str, Any]] | None:
    """The report of each file, once all of them are committed."""
    by_id = {r["batch_id"]: r for r in stack.ports.dataset.batches(MODEL)}
    ids = {name: hashlib.sha256(content).hexdigest()[:32] for name, content in contents.items()}
    return {name: dict(by_id[i]) for name, i in ids.items()} if set(ids.values()) <= set(by_id) else None


WRONG = [
    ("visits", "many", "wrong_type"),
    ("visits", "nan", "not_finite"),
    ("visits", "inf", "not_finite"),
    ("visits", "4000", "out_of_range"),
    ("visits", "", "missing_value"),
    ("known_at", "2175-01-01T00:00:00Z", "future"),
    ("event_time", "soon", "wrong_type"),
    ("request_id", "p0/0", "no_prediction"),
]
"""What is wrong with the first rows of rows.csv: column, value, and the code that it should get."""


def write_bad_files(folder: Path, study: "Study") -> dict[str, int]:
    """A file for each kind of mistake; returns how many rows each holds, 0 where none can be told."""
    folder.mkdir()
    labels = {day: study.days(day, day + 2).labels().astype(str) for day in range(900, 912, 2)}
    rows = labels[900].copy()
    for place, (column, value, _) in enumerate(WRONG):
        rows.loc[place, column] = value
    frames = {
        "rows.csv": pd.concat([rows, rows.tail(1)]),
        "no-label.csv": labels[902].drop(columns="visits"),
        "extra.csv": labels[904].assign(note="seen again"),
        "latin.csv": labels[906].assign(note=["näher geprüft", *["fine"] * (len(labels[906]) - 1)]),
        "utf16.csv": labels[908],
        "again.csv": study.days(720, 722).labels(),
        "header.csv": labels[910].head(0),
    }
    encodings = {"latin.csv": "latin-1", "utf16.csv": "utf-16"}
    for name, frame in frames.items():
        frame.to_csv(folder / name, index=False, encoding=encodings.get(name, "utf-8"))
    (folder / "nothing.csv").write_bytes(b"")
    labels[910].to_parquet(folder / "cut.parquet")
    (folder / "cut.parquet").write_bytes((folder / "cut.parquet").read_bytes()[:-200])
    return {name: len(frame) for name, frame in frames.items()} | {"nothing.csv": 0, "cut.parquet": 0}


def test_the_dag_ends_successfully(stack: "Stack", landed: dict[str, Bad]) -> None:
    assert {r["state"] for r in stack.runs(f"{MODEL}_ingest")} == {"success"}
    assert [t for t in stack.failed_tasks() if t.startswith(f"{MODEL}_ingest")] == []


def test_accepted_and_quarantined_and_duplicate_rows_add_up_to_those_that_came_in(landed: dict[str, Bad]) -> None:
    for name, bad in landed.items():
        rows = bad.report["rows"]
        assert rows["in"] == bad.rows, name
        assert rows["in"] == rows["accepted"] + rows["quarantined"] + rows["duplicate"], name


def test_every_file_is_kept_with_its_very_bytes(stack: "Stack", landed: dict[str, Bad]) -> None:
    kept = {a.batch_id: stack.ports.landing.take(a) for a in stack.ports.landing.taken(MODEL)}
    for name, bad in landed.items():
        assert kept[bad.report["batch_id"]].read_bytes() == bad.content, name


@pytest.mark.parametrize(("name", "code"), [("nothing.csv", "empty_file"), ("cut.parquet", "unreadable_file")])
def test_a_file_that_cannot_be_read_is_kept_whole_with_its_reason(landed: dict[str, Bad], name: str, code: str) -> None:
    report = landed[name].report
    assert report["blocked"]
    assert [found["code"] for found in report["critical"]] == [code]
    assert name in report["message"]


def test_each_bad_row_is_set_aside_with_a_code_and_a_sentence(stack: "Stack", landed: dict[str, Bad]) -> None:
    report = landed["rows.csv"].report
    aside = pq.read_table(stack.ports.dataset.batch(MODEL, report["batch_id"]) / "quarantined.parquet").to_pandas()
    assert aside["reason"].tolist() == [code for *_, code in WRONG]
    assert aside["row"].tolist() == [place + 2 for place in range(len(WRONG))]  # lines, the header being the first
    for sentence, (column, value, _) in zip(aside["message"], WRONG, strict=True):
        assert value in sentence or column in sentence


def test_the_good_rows_beside_them_are_accepted_and_a_repeated_one_once(landed: dict[str, Bad]) -> None:
    rows = landed["rows.csv"].report["rows"]
    assert rows["duplicate"] == 1
    assert rows["accepted"] == rows["in"] - len(WRONG) - 1 > 0


def test_rows_that_are_known_already_are_duplicates(landed: dict[str, Bad]) -> None:
    assert landed["again.csv"].report["rows"]["duplicate"] == landed["again.csv"].rows


def test_a_file_without_the_label_is_set_aside_row_by_row(landed: dict[str, Bad]) -> None:
    found = landed["no-label.csv"]
    assert found.report["rows"]["quarantined"] == found.rows
    assert found.report["reasons"] == {"missing_column": found.rows}


def test_an_extra_column_is_reported_and_its_rows_are_taken(landed: dict[str, Bad]) -> None:
    found = landed["extra.csv"]
    assert found.report["rows"]["accepted"] == found.rows
    assert "note" in str(found.report["warnings"])


def test_only_what_another_encoding_makes_ambiguous_is_set_aside(landed: dict[str, Bad]) -> None:
    latin, utf16 = landed["latin.csv"], landed["utf16.csv"]
    assert latin.report["reasons"] == {"encoding": 1}
    assert latin.report["rows"]["accepted"] == latin.rows - 1
    assert utf16.report["rows"]["accepted"] == utf16.rows
