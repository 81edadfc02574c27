"""Ingest over real folders: killed at any instant, or run twice at once, every row ends in exactly one committed batch."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from sluicegate.actions import carry_out
from sluicegate.actions.land import commit, land
from sluicegate.actions.snapshot import run_snapshot
from sluicegate.domain.order import Order
from sluicegate.settings import Settings
from sluicegate.testing.ingest_world import SPEC, asked, csv, told
from sluicegate.wiring import Wiring, wire

INGEST = """
import sys
from pathlib import Path
from sluicegate.actions import carry_out, snapshot, validate
from sluicegate.actions.land import commit, land
from sluicegate.domain.order import Order
from sluicegate.settings import Settings
from sluicegate.wiring import wire
home = Path(sys.argv[1])
ports = wire(Settings(home=home / "home", models=home / "models"))
print("ready", flush=True)
for batch in land("toy", ports):
    order = Order("validate", "toy", batch)
    carry_out(order, ports)
    commit("toy", batch["batch_id"], ports.results.find(order.key), ports)
"""


@pytest.fixture
def ports(tmp_path: Path) -> Wiring:
    model = tmp_path / "models" / "toy"
    model.mkdir(parents=True)
    (model / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    (model / "features.py").write_text("def features(row):\n    return {}\n")
    ports = wire(Settings(home=tmp_path / "home", models=tmp_path / "models"))
    history = ports.settings.data / "toy" / "history"
    history.mkdir(parents=True)
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist([asked(n) for n in range(6000)]), history / "requests.parquet")
    return ports


def drop(ports: Wiring, name: str, content: bytes) -> None:
    source = ports.settings.home / name
    source.write_bytes(content)
    ports.landing.drop("toy", name, source)


def ingest(ports: Wiring) -> list[bool]:
    """One run of ingest; for each batch whether this run committed it."""
    won = []
    for batch in land("toy", ports):
        order = Order("validate", "toy", batch)
        carry_out(order, ports)
        folder = ports.results.find(order.key)
        assert folder is not None
        won.append(commit("toy", batch["batch_id"], folder, ports))
    return won


@pytest.mark.slow
def test_killed_at_any_instant_ingest_ends_with_every_row_in_one_batch(ports: Wiring, tmp_path: Path) -> None:
    for turn in range(4):
        drop(ports, f"{turn}.csv", csv(told(n) for n in range(1000 * turn, 1000 * turn + 1000)) + b"torn\n")
    for delay in (0.0, 0.01, 0.03, 0.06, 0.12):
        with subprocess.Popen([sys.executable, "-c", INGEST, str(tmp_path)], stdout=subprocess.PIPE) as run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(delay)
            run.send_signal(signal.SIGKILL)
    ingest(ports)
    reports = ports.dataset.batches("toy")
    assert [sum(r["rows"][k] for r in reports) for k in ("in", "accepted", "quarantined", "duplicate")] == [4004, 4000, 4, 0]
    assert ports.landing.waiting("toy") == []
    assert land("toy", ports) == []


def test_of_runs_at_once_each_batch_is_committed_by_one(ports: Wiring) -> None:
    for turn in range(3):
        drop(ports, f"{turn}.csv", csv(told(n) for n in range(10 * turn, 10 * turn + 10)))
    won: list[bool] = []
    runs = [threading.Thread(target=lambda: won.extend(ingest(ports))) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert won.count(True) == 3
    assert sum(r["rows"]["accepted"] for r in ports.dataset.batches("toy")) == 30


def test_a_snapshot_is_restored_by_its_id_alone(ports: Wiring, tmp_path: Path) -> None:
    drop(ports, "a.csv", csv(told(n) for n in range(20)))
    ingest(ports)
    batches = [r["batch_id"] for r in ports.dataset.batches("toy")]
    first = carry_out(Order("snapshot", "toy", {"as_of": None, "batches": batches}), ports)
    drop(ports, "b.csv", csv(told(n, loss=3) for n in range(20, 40)))
    ingest(ports)
    assert pq.read_metadata(ports.dataset.snapshot("toy", first["snapshot_id"]) / "data.parquet").num_rows == 20
    again = tmp_path / "again"
    again.mkdir()
    assert (
        run_snapshot(Order("snapshot", "toy", {"as_of": None, "batches": batches}), ports, again)["snapshot_id"]
        == first["snapshot_id"]
    )
