"""What the actions need from outside: at most five verbs each, symmetric, idempotent. Implementations live in `adapters`."""

from typing import Protocol

from sluicegate.domain.spec import ModelSpec
from sluicegate.ports.archive import Archive, Book
from sluicegate.ports.clock import Clock
from sluicegate.ports.dataset import Dataset
from sluicegate.ports.estimators import Estimators
from sluicegate.ports.incidents import Incidents
from sluicegate.ports.journal import Event, Journal, Lock
from sluicegate.ports.landing import Arrival, Landing
from sluicegate.ports.meter import LabelWindow, Meter
from sluicegate.ports.orders import Orders, OrderStatus
from sluicegate.ports.outbox import Failure, Outbox
from sluicegate.ports.registry import Record, Registered, Registry
from sluicegate.ports.request_logs import RequestLogs
from sluicegate.ports.results import Results
from sluicegate.ports.router import Router
from sluicegate.ports.runtime import Runtime, ServerStatus
from sluicegate.settings import Settings


class Ports(Protocol):
    """The bundle that every action receives; `wiring.Wiring` is the real one, `testing.FakePorts` the fake."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def landing(self) -> Landing: ...
    @property
    def dataset(self) -> Dataset: ...
    @property
    def results(self) -> Results: ...
    @property
    def requests(self) -> RequestLogs: ...
    @property
    def estimators(self) -> Estimators: ...
    @property
    def orders(self) -> Orders: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def router(self) -> Router: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def meter(self) -> Meter: ...
    @property
    def incidents(self) -> Incidents: ...
    def spec(self, model: str) -> ModelSpec:
        """The model's checked spec.yaml; SpecError when it is wrong or absent."""
        ...


__all__ = [
    "Archive",
    "Arrival",
    "Book",
    "Clock",
    "Dataset",
    "Estimators",
    "Event",
    "Failure",
    "Incidents",
    "Journal",
    "LabelWindow",
    "Landing",
    "Lock",
    "Meter",
    "OrderStatus",
    "Orders",
    "Outbox",
    "Ports",
    "Record",
    "Registered",
    "Registry",
    "RequestLogs",
    "Results",
    "Router",
    "Runtime",
    "ServerStatus",
]
