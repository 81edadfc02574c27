"""Whatever lands: rows in = accepted + quarantined + duplicates, and every row is somewhere."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.testing.ingest_world import HEADER, World, csv, told

VALUES: dict[str, Any] = {
    "request_id": st.one_of(
        st.integers(0, 12).map(lambda n: f"r{n}"), st.sampled_from(["", "nobody", '"r1"', "r1\u00e9", "a;b"])
    ),
    "event_time": st.sampled_from(["2023-03-01T00:03:00Z", "2023-03-01", "", "soon", "2093-01-01T00:00:00Z"]),
    "loss": st.one_of(st.integers(-200, 6000), st.sampled_from(["nan", "inf", "x", "", '"', "1e400", "1,5"])),
    "known_at": st.sampled_from(["2023-06-01T00:00:00Z", "2022-01-01", "", "2093-01-01T00:00:00Z", "\x0b"]),
}


@st.composite
def labels(draw: st.DrawFn) -> dict[str, Any]:
    """A label row, mostly right, with up to two fields replaced."""
    row = told(draw(st.integers(0, 12)))
    for field in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2)):
        row[field] = draw(VALUES[field])
    return row


def lines(content: bytes) -> int:
    """Lines that hold something, but for the header."""
    return sum(bool(line.strip()) for line in content.replace(b"\r", b"\n").split(b"\n")) - 1


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(labels(), max_size=12), min_size=1, max_size=3), st.sampled_from(["utf-8", "cp1252", "utf-16"]))
def test_any_rows_in_any_files_add_up(files: list[list[dict[str, Any]]], encoding: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        world = World(Path(home))
        seen: set[bytes] = set()
        for number, rows in enumerate(files):
            content = csv(rows)
            if content in seen:
                continue
            seen.add(content)
            outcome = world.land(content.decode().encode(encoding), f"{number}.csv")
            assert outcome.rows["in"] == lines(content)
            assert outcome.rows["accepted"] == len(outcome.table("accepted"))
            assert outcome.rows["quarantined"] == len(outcome.table("quarantined")) == sum(outcome.result["reasons"].values())
            assert all(r["reason"] and r["message"] for r in outcome.table("quarantined"))
        accepted = [r["request_id"] for batch in world.ports.dataset.batches("toy") for r in _accepted(world, batch["batch_id"])]
        assert len(accepted) == len(set(accepted))


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda b: HEADER.encode() + b"\n" + b)))
def test_any_bytes_become_a_batch(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as home:
        outcome = World(Path(home)).land(content)
        assert outcome.rows["accepted"] == 0
        if not outcome.result["blocked"]:
            assert outcome.rows["in"] == lines(content)


def _accepted(world: World, batch_id: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(world.ports.dataset.batch("toy", batch_id) / "accepted.parquet").to_pylist()
    return rows
