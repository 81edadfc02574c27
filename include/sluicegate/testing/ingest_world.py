"""A small world for tests of ingest: one model, a request log, and a way to land bytes and see what became of their rows."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.actions.land import commit, land
from sluicegate.actions.validate import run_validate
from sluicegate.domain.order import Order
from sluicegate.domain.spec import parse_spec
from sluicegate.testing.data_ports import DataPorts

SPEC: dict[str, Any] = {
    "model": "toy",
    "data": {
        "user_id": "card",
        "inputs": {
            "amount": {"type": "number", "min": 0, "max": 1000},
            "items": {"type": "integer", "required": False, "min": 0},
            "kind": {"type": "string", "values": ["web", "shop"]},
        },
        "label": {"field": "loss", "above": 0, "min": -100, "max": 5000},
    },
    "training": {"holdout": {"length": "7d"}},
    "release": {"stages": [{"weight": 100}], "gates": {"p95_ms": 80}},
}
HEADER = "request_id,event_time,loss,known_at"


def asked(number: int, **changes: Any) -> dict[str, Any]:
    """A logged request."""
    at = f"2023-03-{1 + number // 1000 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z"
    row = {"request_id": f"r{number}", "event_time": at, "card": f"c{number % 7}", "amount": 5.0, "items": 2, "kind": "web"}
    return {**row, **changes}


def told(number: int, **changes: Any) -> dict[str, Any]:
    """The label of that request."""
    row = {"request_id": f"r{number}", "event_time": asked(number)["event_time"], "loss": 1.5, "known_at": "2023-06-01T00:00:00Z"}
    return {**row, **changes}


def csv(rows: Iterable[Mapping[str, Any]], header: str = HEADER) -> bytes:
    """Label rows as csv."""
    names = header.split(",")
    lines = [header, *(",".join("" if row.get(n) is None else str(row[n]) for n in names) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


@dataclass
class Outcome:
    """What became of a landed file."""

    batch_id: str
    result: dict[str, Any]
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report

    @property
    def rows(self) -> dict[str, int]:
        rows: dict[str, int] = self.result["rows"]
        return rows

    def table(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.folder / f"{name}.parquet").to_pylist()
        return rows

    @property
    def reasons(self) -> dict[str, str]:
        """Request id (or line) → code of every quarantined row."""
        return {str(r.get("request_id") or r["line"]): r["reason"] for r in self.table("quarantined")}

    @property
    def messages(self) -> list[str]:
        return [r["message"] for r in self.table("quarantined")]


class World:
    """Requests 0 to 199 were asked; files land and go all the way to their commit."""

    def __init__(self, home: Path, **changes: Any) -> None:
        self.home = home
        self.ports = DataPorts(home / "home", parse_spec({**SPEC, **changes}, "toy/spec.yaml"))
        self.log("requests.jsonl", [asked(n) for n in range(200)])

    def log(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """A request log of a former system."""
        folder = self.ports.settings.data / "toy" / "history"
        folder.mkdir(parents=True, exist_ok=True)
        rows = list(rows)
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), folder / name)
        else:
            (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows))

    def served(self, rows: Iterable[Mapping[str, Any]], version: str = "1", tail: str = "") -> None:
        """The prediction log of one of our servers."""
        folder = self.ports.settings.predictions / "toy" / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "20230301T00-1.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + tail)

    def drop(self, name: str, content: bytes) -> str:
        source = self.home / "source"
        source.write_bytes(content)
        return self.ports.landing.drop("toy", name, source)

    def land(self, content: bytes, name: str = "labels.csv") -> Outcome:
        """Drop, take, validate, commit."""
        self.drop(name, content)
        (batch,) = land("toy", self.ports)
        return self.validate(batch)

    def validate(self, batch: Mapping[str, str]) -> Outcome:
        order = Order("validate", "toy", batch)
        folder = self.home / f"work-{order.key}"
        folder.mkdir()
        result = run_validate(order, self.ports, folder)
        commit("toy", batch["batch_id"], folder, self.ports)
        outcome = Outcome(batch["batch_id"], result, folder)
        rows = outcome.rows
        assert rows["in"] == rows["accepted"] + rows["quarantined"] + rows["duplicate"]
        return outcome
