"""The Meter contract over the fake and over real model servers, asked as a gateway would ask them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.actions.ingest.outcomes import OUTCOMES
from sluicegate.adapters.local_meter import LocalMeter
from sluicegate.domain.route import Route, Target
from sluicegate.ports import Meter
from sluicegate.settings import Settings
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.meter import Behaviour, SyntheticMeter
from sluicegate.testing.meter_contract import FEATURES, MeterContract, MeterWorld
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import SPEC, toy_package, toy_row
from sluicegate.testing.router import MemoryRouter
from sluicegate.testing.waiting import wait_until


class FakeWorld:
    """The synthetic meter at weight 40 with every request of the rest mirrored."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.route = Route("toy", Target("1", "h", 1), Target("2", "h", 2), 40, 100, "s", 1, self.clock.now() + 1e9)
        router = MemoryRouter(self.clock.now)
        router.apply(self.route)
        errors = Behaviour(errors=0.1)
        self.meter = SyntheticMeter(self.clock, router, champion=errors, candidate=errors, segments={"site=shop": 1.0})

    def serve(self) -> None:
        self.clock.sleep(5.0)

    def label(self) -> None:
        self.meter.label_delay = 0.0

    def lose_candidate(self) -> None:
        self.meter.gone = "the candidate is gone"


class TestSyntheticMeter(MeterContract):
    @pytest.fixture
    def world(self) -> MeterWorld:
        return FakeWorld()


@dataclass
class RealWorld:
    """Two model servers, shared by all tests; batches of labels are each test's own."""

    settings: Settings
    champion: ModelServer
    candidate: ModelServer
    meter: Meter
    batches: int = 0
    gone: bool = False

    @property
    def route(self) -> Route:
        return Route("toy", self.champion.target, Target("2", "127.0.0.1", 1) if self.gone else self.candidate.target)

    def serve(self) -> None:
        champion, candidate = len(self.champion.lines()), len(self.candidate.lines())
        for number in range(20):
            row = toy_row(number) | {"request_id": f"{uuid4()}", "site": "shop", "distance": 13 if number % 10 == 0 else 500.0}
            self.champion.ask(row)
            self.candidate.ask(row, headers={"host": "gateway-shadow"})
            self.candidate.ask(row | {"request_id": f"{uuid4()}"})
        wait_until(lambda: (len(self.champion.lines()), len(self.candidate.lines())) == (champion + 18, candidate + 36))

    def label(self) -> None:
        """What ingest commits with a batch of labels for everything so far."""
        rows: list[dict[str, Any]] = [orjson.loads(line) for s in (self.champion, self.candidate) for line in s.lines()]
        told = {"outcome": 1.0, "positive": True, "known_at": 1.0}
        folder = self.settings.data / "toy" / "batches" / f"b{self.batches}"
        self.batches += 1
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([row | told for row in rows], OUTCOMES), folder / "outcomes.parquet")

    def lose_candidate(self) -> None:
        self.gone = True


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ModelServer, ModelServer]]:
    spec = SPEC.replace("    stops: {type", "    site: {type: string, required: false}\n    stops: {type")
    spec = spec.replace("[{weight: 100}]", "[{weight: 100}]\n  segments: [site]")
    home = tmp_path_factory.mktemp("toy")
    package = toy_package(home, features=FEATURES, spec=spec).folder
    with running_model_server(package, "1", home) as champion, running_model_server(package, "2", home) as candidate:
        yield home, champion, candidate


class TestLocalMeter(MeterContract):
    @pytest.fixture
    def world(self, servers: tuple[Path, ModelServer, ModelServer], tmp_path: Path) -> MeterWorld:
        home, champion, candidate = servers
        (tmp_path / "predictions").symlink_to(home / "predictions")
        settings = Settings(home=tmp_path, gateway_admin_port=1)
        return RealWorld(settings, champion, candidate, LocalMeter(settings))
