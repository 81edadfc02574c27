"""Two real Envoys that follow the same kept routes, each with its own guard, under the contract of every router."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sluicegate.actions.guard import run_guard
from sluicegate.adapters.cluster_router.envoys import Envoys
from sluicegate.adapters.cluster_router.probe import Probe
from sluicegate.adapters.cluster_router.router import ANNOTATION, ClusterRouter
from sluicegate.adapters.envoy_router import EnvoyRouter, Names, Replica, envoy_command, prepare
from sluicegate.adapters.envoy_router.replica import NOWHERE, held
from sluicegate.adapters.system_clock import SystemClock
from sluicegate.domain.route import Route, Target, is_candidate
from sluicegate.domain.route_text import Stored
from sluicegate.errors import UnavailableError
from sluicegate.kube import named
from sluicegate.settings import Settings
from sluicegate.testing.gateway import Stub, free_port, running_gateway, running_stub
from sluicegate.testing.route_objects import MemoryObjects, Thing
from sluicegate.testing.router_contract import RouterContract
from sluicegate.testing.traffic import ask
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import ReplicaPorts

PATIENCE_S = 30.0


class LostObjects(MemoryObjects):
    """Objects of an API server that can be away."""

    away = False

    def listed(self) -> list[Thing]:
        self._refuse_away()
        return super().listed()

    def put(self, thing: Thing) -> None:
        self._refuse_away()
        super().put(thing)

    def _refuse_away(self) -> None:
        if self.away:
            raise UnavailableError("the cluster does not answer")


@dataclass
class World:
    """The kept routes, what drives them, and where the replicas listen."""

    objects: LostObjects
    settings: list[Settings]
    stubs: list[Stub]
    router: ClusterRouter = field(init=False)

    def __post_init__(self) -> None:
        shown = Probe(lambda: [("127.0.0.1", each.gateway_port) for each in self.settings])
        self.router = ClusterRouter(Envoys("sg"), self.objects, self.objects, shown.routes)

    def route(self, weight: int, *, lease: float = 300.0, model: str | None = None) -> Route:
        champion, candidate = (
            Target(stub.target.version, f"{name}.sg.svc.cluster.local", stub.target.port)
            for name, stub in zip(("champion", "candidate"), self.stubs, strict=True)
        )
        model = model or f"m{uuid.uuid4().hex[:12]}"
        return Route(model, champion, candidate, weight, 0, "rollout-1", 1, time.time() + lease if weight else None)

    def served(self, replica: int, model: str, users: list[str]) -> dict[str, str]:
        """The version that answers each user at this replica."""
        return {answer.user: answer.version for answer in ask(self.settings[replica].gateway_port, model, users)}


@contextmanager
def guarded(settings: Settings, objects: LostObjects) -> Iterator[None]:
    """The guard of one replica, looking."""
    kept = ClusterRouter(Envoys("sg"), objects, objects, lambda model: [])
    local = EnvoyRouter(settings, resolve=Names(lambda host: "127.0.0.1").address, telling=True)
    ports, stop = ReplicaPorts(settings, SystemClock(), Replica(local, kept.asked, kept.enforce)), threading.Event()
    thread = threading.Thread(target=run_guard, args=(ports,), kwargs={"pause": 0.05, "stopped": stop.is_set})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    objects, all_settings = LostObjects(), []
    with ExitStack() as stack:
        for name in ("a", "b"):
            home: Path = tmp_path_factory.mktemp(name)
            settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
            prepare(settings)
            stack.enter_context(running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"))
            stack.enter_context(guarded(settings, objects))
            all_settings.append(settings)
        stubs = [stack.enter_context(running_stub(version, home / "stub.log")) for version in ("1", "2")]
        yield World(objects, all_settings, stubs)


@pytest.fixture
def kept(world: World) -> Iterator[World]:
    """Routes go after each test: an Envoy watches three files a model, and a machine lets a user watch few."""
    yield world
    for model, stored in world.router.asked().items():
        world.router.remove(model, stored.token)


@pytest.mark.gateway
class TestReplicas(RouterContract):
    champion = Target("1", "champion.sg.svc.cluster.local", 9)
    candidate = Target("2", "candidate.sg.svc.cluster.local", 10)

    @pytest.fixture
    def router(self, kept: World) -> ClusterRouter:
        return kept.router


@pytest.mark.gateway
@pytest.mark.usefixtures("kept")
class TestTwoReplicas:
    def test_every_user_is_answered_alike_by_both(self, world: World) -> None:
        route = world.route(25)
        world.router.apply(route)
        users = [f"N{i}" for i in range(300)]
        wanted = {user: "2" if is_candidate("rollout-1", user, 25) else "1" for user in users}
        assert world.served(0, route.model, users) == wanted
        assert world.served(1, route.model, users) == wanted

    def test_lease_ends_at_each_replica_although_nobody_can_be_asked(self, world: World) -> None:
        route = world.route(100, lease=3.0)
        world.router.apply(route)
        world.objects.away = True
        try:
            assert set(world.served(0, route.model, ["N1"]).values()) == {"2"}
            for replica in (0, 1):
                wait_until(lambda replica=replica: set(world.served(replica, route.model, ["N1"]).values()) == {"1"}, PATIENCE_S)
        finally:
            world.objects.away = False
        wait_until(lambda: world.router.read(route.model) == route.cut(), PATIENCE_S)

    def test_object_that_vanishes_leaves_the_champion_in_service(self, world: World) -> None:
        route = world.route(0)
        world.router.apply(route)
        world.objects.delete(named(route.model, "route"))
        time.sleep(0.3)
        assert set(world.served(0, route.model, ["N1", "N2"]).values()) == {"1"}

    def test_damaged_object_gives_its_weight_until_the_lease_ends_and_disturbs_no_other(self, world: World) -> None:
        route = world.route(100, lease=3.0)
        world.router.apply(route)
        world.objects.things[named(route.model, "route")]["metadata"]["annotations"] = {ANNOTATION: "broken"}
        other = world.route(0)
        world.router.apply(other)
        wait_until(lambda: set(world.served(0, route.model, ["N1"]).values()) == {"1"}, PATIENCE_S)
        world.objects.delete(named(route.model, "route"))


def test_weight_without_a_lease_is_held_back() -> None:
    route = Route("m", Target("1", "a", 1), Target("2", "b", 1), 25, 10, "r", 1, 100.0)
    assert held(Stored(1, route), 99.0) == Stored(1, route)
    assert held(Stored(1, route), 100.0) == Stored(1, route.cut())


class Resolver:
    """Names, until nobody answers."""

    def __init__(self) -> None:
        self.answers: list[str | OSError] = []

    def __call__(self, host: str) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def names(clock: list[float]) -> Callable[[Resolver], Names]:
    return lambda resolver: Names(resolver, lambda: clock[0])


def test_name_is_asked_again_after_a_while_and_the_last_address_kept_when_nobody_answers(
    names: Callable[[Resolver], Names], clock: list[float]
) -> None:
    resolver = Resolver()
    resolver.answers = ["10.0.0.1", OSError(), "10.0.0.2"]
    known = names(resolver)
    found = []
    for clock[0] in (0.0, 1.0, 6.0, 12.0):
        found.append(known.address("champion"))
    assert found == ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"]


def test_name_that_nobody_knows_leads_nowhere(names: Callable[[Resolver], Names]) -> None:
    resolver = Resolver()
    resolver.answers = [OSError()]
    assert names(resolver).address("candidate") == NOWHERE
