"""Settings → ready objects. The only file that names adapters; each is imported and connected on first use."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.domain.spec_text import parse_yaml
from sluicegate.errors import SpecError
from sluicegate.settings import Settings

if TYPE_CHECKING:
    from sluicegate.adapters.envoy_router import Replica
    from sluicegate.adapters.journal_file import JournalFile
    from sluicegate.adapters.object_store import ObjectSources, ObjectStore
    from sluicegate.adapters.order_pods import OrderPods
    from sluicegate.adapters.promql_meter import Joiner
    from sluicegate.ports import (
        Archive,
        Clock,
        Dataset,
        Estimators,
        Incidents,
        Journal,
        Landing,
        Meter,
        Orders,
        Outbox,
        Registry,
        RequestLogs,
        Results,
        Router,
        Runtime,
    )


class Wiring:
    """The real ports of one installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def clock(self) -> "Clock":
        from sluicegate.adapters.system_clock import SystemClock

        return SystemClock()

    @property
    def shared(self) -> bool:
        """Is what the units of work exchange kept in an object store? Pods share no disk, so in the cluster it must be."""
        return bool(self.settings.store_url) or self.settings.profile == "kubernetes"

    @cached_property
    def store(self) -> "ObjectStore":
        from sluicegate.adapters.object_store import ObjectStore

        return ObjectStore(self.settings)

    @cached_property
    def landing(self) -> "Landing":
        from sluicegate.adapters.folder_landing import FolderLanding

        return self.store.landing if self.shared else FolderLanding(self.settings)

    @cached_property
    def dataset(self) -> "Dataset":
        from sluicegate.adapters.folder_dataset import FolderDataset

        return self.store.dataset if self.shared else FolderDataset(self.settings)

    @cached_property
    def results(self) -> "Results":
        from sluicegate.adapters.folder_results import FolderResults

        return self.store.results if self.shared else FolderResults(self.settings)

    @cached_property
    def requests(self) -> "RequestLogs":
        from sluicegate.adapters.folder_requests import FolderRequests

        return self.store.requests if self.shared else FolderRequests(self.settings)

    @cached_property
    def estimators(self) -> "Estimators":
        from sluicegate.adapters.estimators import DottedEstimators

        return DottedEstimators()

    @property
    def outbox(self) -> "Outbox":
        """Where orders for pods lie."""
        return self.store.outbox

    @property
    def sources(self) -> "ObjectSources":
        """The models as pods get them; no action asks for them, only the shell does."""
        return self.store.sources

    @cached_property
    def orders(self) -> "Orders":
        from sluicegate.adapters.process_orders import ProcessOrders

        return ProcessOrders(self.settings, self.results)

    @cached_property
    def pods(self) -> "OrderPods":
        """The pods of orders; no action asks for one, only the shell does."""
        from sluicegate.adapters.order_pods import OrderPods

        return OrderPods(self.settings)

    @cached_property
    def registry(self) -> "Registry":
        from sluicegate.adapters.mlflow_registry import MlflowRegistry

        return MlflowRegistry(self.settings)

    @cached_property
    def journal(self) -> "Journal":
        from sluicegate.adapters.sql_journal import SqlJournal

        return SqlJournal(self.settings.journal)

    @cached_property
    def archive(self) -> "Archive":
        """The journal as it is stored, to be verified and exported."""
        from sluicegate.adapters.sql_journal import SqlArchive

        return SqlArchive(self.settings.journal)

    @cached_property
    def router(self) -> "Router":
        if self.settings.profile == "kubernetes":
            from sluicegate.adapters import cluster_router

            made = {
                "envoy": cluster_router.envoys_router,
                "gateway-api": cluster_router.gateway_api_router,
                "istio": cluster_router.istio_router,
            }
            return made[self.settings.router](self.settings)
        from sluicegate.adapters.envoy_router import GUARD_WITHIN_S, EnvoyRouter

        return EnvoyRouter(self.settings, guard_within=GUARD_WITHIN_S)

    @cached_property
    def runtime(self) -> "Runtime":
        if self.settings.profile == "kubernetes":
            from sluicegate.adapters.deployment_runtime import DeploymentRuntime

            return DeploymentRuntime(self.settings, lambda model: self.spec(model).serving)

        from sluicegate.adapters.supervisor_runtime import SupervisorRuntime

        return SupervisorRuntime(self.settings)

    @cached_property
    def meter(self) -> "Meter":
        if self.settings.profile == "kubernetes":
            from sluicegate.adapters.promql_meter import PromqlMeter

            return PromqlMeter(self.settings, self.dataset)
        from sluicegate.adapters.local_meter import LocalMeter

        return LocalMeter(self.settings)

    @cached_property
    def incidents(self) -> "Incidents":
        from sluicegate.adapters.local_incidents import LocalIncidents

        local = LocalIncidents(self.settings)
        return self.store.incidents(local.tell) if self.shared else local

    def spec(self, model: str) -> ModelSpec:
        """The model's checked spec.yaml; SpecError when it is wrong or absent."""
        return read_spec(self.settings, model)


@dataclass(frozen=True)
class KeeperPorts:
    """What the keeper has: the time and the routes, and the journal only where one is named."""

    settings: Settings
    clock: "Clock"
    router: "Router"
    journal: "Journal | None"


@dataclass(frozen=True)
class ReplicaPorts:
    """What the guard beside one Envoy of a cluster has."""

    settings: Settings
    clock: "Clock"
    router: "Replica"
    journal: None = None


def replica_ports(settings: Settings | None = None) -> ReplicaPorts:
    """The ports of one replica's guard, by default for the settings in the environment."""
    from sluicegate.adapters.cluster_router import envoys_router
    from sluicegate.adapters.envoy_router import EnvoyRouter, Names, Replica

    ports = wire(settings)
    kept = envoys_router(ports.settings)
    local = EnvoyRouter(ports.settings, resolve=Names().address, telling=True)
    return ReplicaPorts(ports.settings, ports.clock, Replica(local, kept.asked, kept.enforce))


def prepare_gateway(settings: Settings) -> None:
    """Write what an Envoy reads at its start."""
    from sluicegate.adapters.envoy_router import prepare

    prepare(settings)


def keeper_ports(settings: Settings | None = None) -> KeeperPorts:
    """The keeper's ports, by default for the settings in the environment."""
    ports = wire(settings)
    return KeeperPorts(ports.settings, ports.clock, ports.router, ports.journal if ports.settings.journal_url else None)


def wire(settings: Settings | None = None) -> Wiring:
    """The real ports, by default for the settings in the environment."""
    return Wiring(settings if settings is not None else Settings.from_environment())


def joiner(settings: Settings) -> "Joiner":
    """What pairs the answers of two versions where nobody can read the disks of both."""
    from sluicegate.adapters.promql_meter import Joiner

    return Joiner(settings)


def journal_file(path: Path) -> "JournalFile":
    """An exported journal."""
    from sluicegate.adapters.journal_file import JournalFile

    return JournalFile(path)


def read_spec(settings: Settings, model: str) -> ModelSpec:
    """Read and check include/models/<model>/spec.yaml; SpecError names file, key, value and what would be valid."""
    folder = settings.models / model
    path = folder / "spec.yaml"
    where = f"{folder.name}/spec.yaml"
    try:
        content = path.read_bytes()
    except OSError as e:
        raise SpecError(f"{where}: cannot be read ({e}): a model is a folder with spec.yaml and features.py") from e
    spec = parse_spec(parse_yaml(content, where), where)
    if spec.model != model:
        raise SpecError(f"{where}: 'model' is '{spec.model}' but the folder is named '{model}': make them equal")
    if not (folder / "features.py").is_file():
        raise SpecError(f"{folder.name}/features.py: is missing: it holds the function features(row) -> dict of numbers")
    return spec


def models(settings: Settings) -> dict[str, ModelSpec | SpecError]:
    """Every model folder, by name: its spec, or why it is refused."""
    found: dict[str, ModelSpec | SpecError] = {}
    for folder in sorted(p for p in settings.models.glob("*/") if not p.name.startswith((".", "_"))):
        try:
            found[folder.name] = read_spec(settings, folder.name)
        except SpecError as e:
            found[folder.name] = e
    return found
