"""The ports of one store, all on the same objects and the same local copies."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from sluicegate.adapters.object_store.cache import Cache
from sluicegate.adapters.object_store.dataset import ObjectDataset
from sluicegate.adapters.object_store.drivers import open_store
from sluicegate.adapters.object_store.incidents import ObjectIncidents
from sluicegate.adapters.object_store.landing import ObjectLanding
from sluicegate.adapters.object_store.outbox import ObjectOutbox
from sluicegate.adapters.object_store.requests import ObjectRequests
from sluicegate.adapters.object_store.results import ObjectResults
from sluicegate.adapters.object_store.shelf import Shelf
from sluicegate.adapters.object_store.shipping import Shipper
from sluicegate.adapters.object_store.sources import ObjectSources
from sluicegate.domain.notice import Notice
from sluicegate.settings import Settings


class ObjectStore:
    """What lies below SLUICEGATE_STORE_URL."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._objects = open_store(settings.store_url)
        self._cache = Cache(settings.home, settings.store_url)
        self._shelf = Shelf(self._objects, self._cache)

    @cached_property
    def landing(self) -> ObjectLanding:
        return ObjectLanding(self._objects, self._shelf, self._cache)

    @cached_property
    def dataset(self) -> ObjectDataset:
        return ObjectDataset(self._shelf)

    @cached_property
    def results(self) -> ObjectResults:
        return ObjectResults(self._shelf)

    @cached_property
    def outbox(self) -> ObjectOutbox:
        return ObjectOutbox(self._objects, self._shelf)

    @cached_property
    def sources(self) -> ObjectSources:
        return ObjectSources(self._objects, self._settings.models)

    def incidents(self, tell: Callable[[Notice], None]) -> ObjectIncidents:
        """Incidents, told to people by `tell`."""
        return ObjectIncidents(self._objects, tell)

    @cached_property
    def requests(self) -> ObjectRequests:
        return ObjectRequests(self._objects, self._cache)

    def shipper(self, folder: Path, model: str, version: str, server: str) -> Shipper:
        """What brings the prediction logs in a server's folder here."""
        return Shipper(self._objects, folder, model, version, server)
