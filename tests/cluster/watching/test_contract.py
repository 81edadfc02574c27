"""The Meter contract over a real Prometheus that scrapes two replicas of each version."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.cluster.watching.rig import PATIENT_S, Rig

from sluicegate.actions.ingest.outcomes import OUTCOMES
from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.domain.route import Route, Target
from sluicegate.settings import Settings
from sluicegate.testing.meter_contract import MeterContract, MeterWorld


@dataclass
class PromqlWorld:
    """The rig's servers; batches of labels are each test's own."""

    rig: Rig
    settings: Settings
    meter: PromqlMeter
    batches: int = 0
    gone: bool = False

    @property
    def route(self) -> Route:
        return Route("toy", Target("1", "h", 1), Target("9" if self.gone else "2", "h", 1), 0, 100)

    def serve(self) -> None:
        self.rig.served()

    def label(self) -> None:
        """What ingest commits with a batch of labels for everything so far."""
        rows: list[dict[str, Any]] = [orjson.loads(line) for pod in self.rig.pods for line in pod.server.lines()]
        told = {"outcome": 1.0, "positive": True, "known_at": 1.0}
        folder = self.settings.data / "toy" / "batches" / f"b{self.batches}"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(f'{{"batch_id": "b{self.batches}"}}')
        self.batches += 1
        pq.write_table(pa.Table.from_pylist([row | told for row in rows], OUTCOMES), folder / "outcomes.parquet")

    def lose_candidate(self) -> None:
        self.gone = True


class TestPromqlMeter(MeterContract):
    @pytest.fixture
    def world(self, rig: Rig, tmp_path: Path) -> MeterWorld:
        settings = Settings(home=tmp_path, profile="kubernetes", router="istio", prometheus_url=rig.prometheus.url)
        return PromqlWorld(rig, settings, PromqlMeter(settings, FolderDataset(settings), PATIENT_S))
