"""The bundle of fakes that ingest and snapshots need, and the files of a model that they read."""

from pathlib import Path
from typing import Any

from sluicegate.domain.spec import ModelSpec
from sluicegate.settings import Settings
from sluicegate.testing.dataset import MemoryDataset
from sluicegate.testing.landing import MemoryLanding
from sluicegate.testing.request_logs import WrittenRequests
from sluicegate.testing.results import MemoryResults


class DataPorts:
    """Landing, dataset and results of one world under `home`, with one model."""

    def __init__(self, home: Path, spec: ModelSpec) -> None:
        self.settings = Settings(home=home)
        self.landing = MemoryLanding(home / "taken")
        self.dataset = MemoryDataset(home / "published")
        self.results = MemoryResults(home / "committed")
        self.requests = WrittenRequests(self.settings)
        self.model_spec = spec

    def spec(self, model: str) -> ModelSpec:
        return self.model_spec

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the fake world of ingest has no port '{name}': use the fake of that port itself")
