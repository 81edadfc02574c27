"""What a pod starts: an order of the store is carried out once, and why it was not is said where people and the cluster look."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from sluicegate.actions.ingest.write import accepted_schema
from sluicegate.commands import REFUSED, UNAVAILABLE, pod
from sluicegate.domain.order import Order
from sluicegate.domain.spec import parse_spec
from sluicegate.settings import Settings
from sluicegate.testing.ingest_world import SPEC
from sluicegate.wiring import Wiring, wire

SNAPSHOT = Order("snapshot", "toy", {"as_of": None, "batches": ["b1"]})


class Installation:
    """A store in a folder, and pods that have nothing in common but it."""

    def __init__(self, root: Path) -> None:
        self.root, self.pods = root, 0
        models = root / "models" / "toy"
        models.mkdir(parents=True)
        (models / "spec.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(SPEC))))
        (models / "features.py").write_text("def features(row):\n    return {'x': 1.0}\n")
        self.airflow = wire(self.settings("airflow"))

    def settings(self, home: str, store: str = "") -> Settings:
        return Settings(home=self.root / home, models=self.root / "models", store_url=store or f"file://{self.root}/store")

    def commit_batch(self, rows: int) -> None:
        folder = self.root / "batch"
        folder.mkdir()
        kinds = accepted_schema(parse_spec(SPEC, "toy/spec.yaml").data)
        at = datetime(2023, 3, 1, tzinfo=UTC)
        columns: dict[str, Any] = {
            name: [_value(kind, n, at) for n in range(rows)] for name, kind in zip(kinds.names, kinds.types, strict=True)
        }
        pq.write_table(pa.table(columns, schema=kinds), folder / "accepted.parquet")
        (folder / "report.json").write_text('{"batch_id": "b1"}')
        self.airflow.dataset.commit("toy", "b1", folder)

    def pod(self, url: str, store: str = "", *, source: str = "") -> "subprocess.Popen[str]":
        self.pods += 1
        env = {**os.environ, **self.settings(f"pod{self.pods}", store).to_environment()}
        command = [sys.executable, "-m", "sluicegate", "work", "--order-url", url, "--source", source]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def beside(self, order: Order) -> Path:
        return self.root / "store" / "orders" / order.key


def _value(kind: pa.DataType, n: int, at: datetime) -> Any:
    if pa.types.is_timestamp(kind):
        return at
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return n
    return n % 2 == 0 if pa.types.is_boolean(kind) else f"{n}"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.mark.slow
def test_two_pods_of_one_order_leave_one_result_and_its_log(installation: Installation) -> None:
    installation.commit_batch(rows=7)
    url = installation.airflow.outbox.send(SNAPSHOT)
    both = [installation.pod(url) for _ in range(2)]
    said = [(process.communicate(timeout=120), process.returncode) for process in both]
    assert [code for _, code in said] == [0, 0], said
    result = installation.airflow.outbox.result(SNAPSHOT)
    assert result is not None
    assert result["rows"] == 7
    snapshot = installation.airflow.dataset.snapshot("toy", result["snapshot_id"])
    assert pq.read_metadata(snapshot / "data.parquet").num_rows == 7
    assert (installation.beside(SNAPSHOT) / "log").read_text() in [out for (out, _), _ in said]
    assert result["snapshot_id"] in (installation.beside(SNAPSHOT) / "log").read_text()


@pytest.mark.slow
def test_a_pod_that_cannot_do_its_order_says_why_beside_it(installation: Installation) -> None:
    dance = Order("dance", "toy", {"n": 1})
    process = installation.pod(installation.airflow.outbox.send(dance))
    _, said = process.communicate(timeout=120)
    assert process.returncode == REFUSED
    assert said.startswith("OrderError: unknown action 'dance'")
    error = json.loads((installation.beside(dance) / "error.json").read_text())
    assert error == {"kind": "OrderError", "message": said.removeprefix("OrderError: ").strip()}
    assert "OrderError" in (installation.beside(dance) / "log").read_text()
    assert installation.airflow.outbox.result(dance) is None


@pytest.mark.slow
def test_a_url_that_is_no_order_of_this_store_is_refused(installation: Installation) -> None:
    process = installation.pod("file:///nowhere/orders/0/order.json")
    _, said = process.communicate(timeout=120)
    assert process.returncode == REFUSED
    assert "there is no order at file:///nowhere/orders/0/order.json" in said


class TestEnds:
    """How the end of the work becomes the end of the pod; the work itself stands in a script."""

    @pytest.fixture
    def ports(self, tmp_path: Path) -> Wiring:
        return wire(Settings(home=tmp_path / "home", store_url=f"file://{tmp_path}/store"))

    def run(self, ports: Wiring, monkeypatch: pytest.MonkeyPatch, script: str) -> int:
        """`work` with `script` in place of the order's process; $folder is where it writes."""
        told = ports.settings.to_environment()
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        start = subprocess.Popen

        def instead(command: list[str], **kwargs: Any) -> "subprocess.Popen[bytes]":
            folder = Path(command[command.index("order") + 1]).parent
            (folder / "order.json").write_text(SNAPSHOT.to_json())
            return start(["bash", "-c", script], cwd=folder, **kwargs)

        monkeypatch.setattr(subprocess, "Popen", instead)
        monkeypatch.setattr(pod, "LAST_WORDS", ports.settings.home / "last-words")
        ports.settings.home.mkdir(parents=True, exist_ok=True)
        (ports.settings.home / "last-words").write_text("")
        before = signal.getsignal(signal.SIGTERM)
        try:
            return pod._work(argparse.Namespace(order_url="unused", source=""))
        finally:
            signal.signal(signal.SIGTERM, before)

    def last_words(self, ports: Wiring) -> str:
        return (ports.settings.home / "last-words").read_text()

    def error(self, ports: Wiring, tmp_path: Path) -> dict[str, str]:
        told: dict[str, str] = json.loads((tmp_path / "store" / "orders" / SNAPSHOT.key / "error.json").read_text())
        return told

    @pytest.mark.parametrize(
        ("kind", "code"), [("UnavailableError", UNAVAILABLE), ("UnfinishedError", 4), ("ValueError", REFUSED)]
    )
    def test_the_kind_of_the_error_is_the_exit_code(
        self, ports: Wiring, monkeypatch: pytest.MonkeyPatch, kind: str, code: int
    ) -> None:
        error = json.dumps({"kind": kind, "message": "it rains"})
        assert self.run(ports, monkeypatch, f"echo '{error}' > error.json; exit 1") == code
        assert json.loads(self.last_words(ports)) == {"kind": kind, "message": "it rains"}

    def test_work_that_was_killed_ends_like_it_and_puts_no_words_in_its_mouth(
        self, ports: Wiring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        assert self.run(ports, monkeypatch, "echo half a line; kill -9 $$") == 137
        assert self.last_words(ports) == ""
        assert "SIGKILL" in self.error(ports, tmp_path)["message"]
        assert (tmp_path / "store" / "orders" / SNAPSHOT.key / "log").read_text() == "half a line\n"

    @pytest.mark.parametrize("code", [99, 2])
    def test_work_that_ends_itself_without_an_error_keeps_its_exit_code_and_the_last_word(
        self, ports: Wiring, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: int
    ) -> None:
        assert self.run(ports, monkeypatch, f"echo no new rows; exit {code}") == code
        assert self.last_words(ports) == ""
        assert "".join(capfd.readouterr()) == "no new rows\n"  # the cluster quotes the end of the log

    def test_a_request_to_stop_reaches_the_work(self, ports: Wiring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        assert self.run(ports, monkeypatch, "exec sleep 60") == 128 + signal.SIGTERM
        assert "SIGTERM" in self.error(ports, tmp_path)["message"]

    def test_a_store_that_goes_away_at_the_end_does_not_change_the_outcome(
        self, ports: Wiring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "store").write_text("no folder any more")
        assert self.run(ports, monkeypatch, "echo done") == 0
        assert "the log of the order was not kept: the store file://" in capsys.readouterr().err


def test_a_pod_works_with_the_model_that_it_was_told_and_not_with_its_own(installation: Installation) -> None:
    installation.commit_batch(rows=7)
    source = installation.airflow.sources.send("toy")
    (installation.root / "models" / "toy" / "spec.yaml").write_text("model: other\n")
    pod = installation.pod(installation.airflow.outbox.send(SNAPSHOT), source=source)
    assert pod.communicate(timeout=120)[1] == ""
    assert pod.returncode == 0
