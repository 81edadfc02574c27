"""The router over objects of a cluster, with an API server and a proxy in memory: its contract, races, and damaged objects."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xxhash
import yaml

from sluicegate.adapters.cluster_router import router as engine
from sluicegate.adapters.cluster_router.gateway_api import GatewayApi, edge_script
from sluicegate.adapters.cluster_router.istio import Istio
from sluicegate.adapters.cluster_router.router import ANNOTATION, ClusterRouter
from sluicegate.domain.route import PARTS, Route, Target
from sluicegate.domain.route_table import mark
from sluicegate.domain.route_text import SHOWN, seen, seen_as
from sluicegate.errors import InputError, RefusedError, StaleTokenError, UnavailableError
from sluicegate.kube import named
from sluicegate.settings import PROJECT
from sluicegate.testing.route_objects import (
    MemoryObjects,
    Rule,
    Thing,
    bucket_of,
    http_route_rules,
    http_route_salt,
    meets,
    virtual_service_rules,
    virtual_service_salt,
)
from sluicegate.testing.router_contract import RouterContract

CHAMPION = Target("1", "champion.sg.svc.cluster.local", 8080)
CANDIDATE = Target("2", "candidate.sg.svc.cluster.local", 8080)
MILLION = 1_000_000
READ: dict[type, tuple[Callable[[Thing], list[Rule]], Callable[[Thing], str]]] = {
    GatewayApi: (http_route_rules, http_route_salt),
    Istio: (virtual_service_rules, virtual_service_salt),
}
"""How a gateway of each kind reads its objects."""


class World:
    """Objects, and a proxy that follows them at once unless it is told to lag or to be away."""

    def __init__(self, dialect: GatewayApi | Istio) -> None:
        self.dialect = dialect
        self.routes, self.edges = MemoryObjects(), MemoryObjects()
        self._rules_of, self._salt_of = READ[type(dialect)]
        self.away = False
        self.kept = True
        self.told_salt: str | None = None
        """What the proxy's edge still has, instead of what it was told."""
        self.edge_works = True
        self.router = ClusterRouter(
            dialect, self.routes, self.edges, self.showing, kept=self._refuse_unkept, edge_works=self._refuse_without_edge
        )

    def rules(self, model: str) -> list[Rule]:
        thing = self.routes.get(named(model, "route"))
        return [] if thing is None else self._rules_of(thing)

    def salt(self, model: str) -> str | None:
        edge = self.edges.get(named(model, "route"))
        if self.told_salt is not None:
            return self.told_salt
        return None if edge is None else self._salt_of(edge)

    def shown(self, model: str) -> Route | None:
        if self.away:
            raise UnavailableError("the gateway does not answer")
        rule = meets(self.rules(model), f"/models/{model}/route", bucket_of(self.salt(model), "sluicegate"))
        return None if rule is None else seen(rule.answer_headers[SHOWN])

    def showing(self, model: str) -> list[Route | None]:
        return [self.shown(model)]

    def served(self, model: str, user: str) -> Rule | None:
        return meets(self.rules(model), f"/models/{model}/predict", bucket_of(self.salt(model), user))

    def backends(self) -> set[str]:
        """Who serves some hundred users."""
        return {rule.backend for user in range(300) if (rule := self.served("flights", f"N{user}"))}

    def _refuse_without_edge(self) -> None:
        if not self.edge_works:
            raise UnavailableError("no edge")

    def _refuse_unkept(self) -> None:
        if not self.kept:
            raise UnavailableError("no keeper")


@pytest.fixture(params=[GatewayApi, Istio])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param("gate", "sg", "sg"))


def at(weight: int, *, token: int = 1, mirror: int = 0, salt: str = "rollout-1") -> Route:
    return Route("flights", CHAMPION, CANDIDATE, weight, mirror, salt, token, time.time() + 60 if weight else None)


class TestClusterRouter(RouterContract):
    champion, candidate = CHAMPION, CANDIDATE

    @pytest.fixture
    def router(self, world: World) -> ClusterRouter:
        return world.router


class TestWhoIsServedByWhom:
    def test_one_million_ids_through_the_route_table_are_assigned_by_the_hash_and_nobody_leaves(self, world: World) -> None:
        digest = xxhash.xxh64_intdigest
        places = np.fromiter((digest(f"rollout-1:N{i}".encode()) % PARTS for i in range(MILLION)), dtype=np.int64, count=MILLION)
        before = np.zeros(MILLION, dtype=bool)
        for weight in (1, 5, 25, 50, 100):
            world.router.apply(at(weight))
            rules = world.rules("flights")
            met = [meets(rules, "/models/flights/predict", f"{mark('rollout-1')}-{place:04d}") for place in range(PARTS)]
            now = np.array([rule is not None and rule.backend == "candidate" for rule in met])[places]
            assert np.array_equal(now, places < weight * 100)
            assert not np.any(before & ~now)
            before = now

    def test_request_without_a_user_is_the_champions_at_any_weight(self, world: World) -> None:
        world.router.apply(at(100))
        rule = meets(world.rules("flights"), "/models/flights/predict", None)
        assert rule is not None
        assert rule.backend == "champion"

    def test_edge_that_still_has_the_salt_of_another_rollout_gives_the_candidate_nobody(self, world: World) -> None:
        world.router.apply(at(100))
        world.told_salt = "rollout-0"
        assert world.backends() == {"champion"}
        shown = world.shown("flights")
        assert shown is not None
        assert shown.weight == 0

    def test_mirror_copies_what_the_champion_serves(self, world: World) -> None:
        world.router.apply(at(25, mirror=20))
        assert {rule.arm: rule.copies for rule in world.rules("flights") if rule.backend} == {"candidate": 0, "champion": 20}

    def test_a_request_says_who_answers_it_so_that_its_copy_is_known_as_one(self, world: World) -> None:
        world.router.apply(at(25, mirror=20))
        assert {rule.arm: rule.answers for rule in world.rules("flights") if rule.backend} == {"candidate": "2", "champion": "1"}

    def test_route_to_a_server_of_another_namespace_is_refused(self, world: World) -> None:
        with pytest.raises(RefusedError, match=r"no Service of namespace 'sg'"):
            world.router.apply(replace(at(5), candidate=Target("2", "candidate.other.svc.cluster.local", 8080)))
        assert world.routes.things == {}


class TestProxiesThatDiffer:
    """One follows a moment later than the other."""

    def test_weight_is_given_when_the_last_one_follows(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.router.apply(at(5))
        before, looks = world.shown("flights"), []

        def showing(model: str) -> list[Route | None]:
            looks.append(model)
            return [world.shown(model), before if len(looks) < 4 else world.shown(model)]

        monkeypatch.setattr(world.router, "_showing", showing)
        world.router.apply(at(25))
        assert len(looks) == 4

    def test_the_one_that_exposes_most_is_read(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.router.apply(at(25))
        exposed = world.shown("flights")
        world.router.apply(at(25).cut())
        monkeypatch.setattr(world.router, "_showing", lambda model: [world.shown(model), exposed, None])
        found = world.router.read("flights")
        assert found is not None
        assert found.weight == 25


class TestTwoWriters:
    def test_older_holder_that_was_held_up_between_reading_and_writing_is_refused(self, world: World) -> None:
        world.router.apply(at(5, token=1))
        world.routes.before_put = lambda: world.router.apply(replace(at(25, token=2)))
        with pytest.raises(StaleTokenError):
            world.router.apply(at(50, token=1))
        assert world.router.read("flights") == replace(at(25, token=2), expires_at=_lease(world))

    def test_first_write_of_an_older_holder_does_not_replace_that_of_a_newer(self, world: World) -> None:
        world.routes.before_put = lambda: world.router.apply(at(0, token=2))
        with pytest.raises(StaleTokenError):
            world.router.apply(at(0, token=1))
        assert world.router.read("flights") == at(0, token=2)

    def test_renewal_while_the_keeper_is_about_to_cut_keeps_the_weight(self, world: World) -> None:
        world.router.apply(at(25))
        world.routes.before_put = lambda: world.router.renew("flights", 1, time.time() + 600)
        assert world.router.enforce(time.time() + 61) == []
        assert _weight(world) == 25

    def test_writer_that_always_meets_another_gives_up_and_says_so(self, world: World) -> None:
        world.router.apply(at(5))
        real = world.routes.put

        def beaten(thing: dict[str, object]) -> None:
            real({"metadata": {"name": named("flights", "route"), "resourceVersion": _version(world)}})
            real(thing)

        world.routes.put = beaten  # type: ignore[method-assign]
        with pytest.raises(UnavailableError, match="written by others"):
            world.router.apply(at(25))

    def test_older_holder_cannot_tell_the_edge_another_salt(self, world: World) -> None:
        world.router.apply(at(5, token=2))
        world.routes.things.clear()
        with pytest.raises(StaleTokenError):
            world.router.apply(at(5, token=1, salt="rollout-0"))
        assert world.salt("flights") == "rollout-1"


class TestGatewayThatDoesNotAnswer:
    def test_cut_is_written_and_not_refused(self, world: World) -> None:
        world.router.apply(at(25))
        world.away = True
        world.router.apply(at(25).cut())
        assert world.backends() == {"champion"}

    def test_weight_that_nobody_can_see_is_an_error(self, world: World) -> None:
        world.away = True
        with pytest.raises(UnavailableError, match="does not answer"):
            world.router.apply(at(25))

    def test_gateway_that_does_not_follow_is_told_with_the_object_to_look_at(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "FOLLOW_S", 0.05)
        world.router.apply(at(5))
        lagging = world.shown("flights")
        monkeypatch.setattr(world.router, "_showing", lambda model: [lagging])
        with pytest.raises(UnavailableError, match=r"read the status of (HTTPRoute|VirtualService) 'flights-route'"):
            world.router.apply(at(25))

    def test_keeper_cuts_without_it(self, world: World) -> None:
        route = at(25)
        world.router.apply(route)
        world.away = True
        assert world.router.enforce(time.time() + 61) == [route]
        assert _weight(world) == 0


class TestGatewayThatDoesNotTakeTheEdge:
    """It may then answer 500 to a model whose edge it was told: so it is not told."""

    @pytest.mark.parametrize(("weight", "mirror"), [(25, 0), (0, 20)])
    def test_no_candidate_gets_traffic_and_no_policy_is_written(self, world: World, weight: int, mirror: int) -> None:
        world.router.apply(at(0))
        world.edge_works = False
        with pytest.raises(UnavailableError, match="no edge"):
            world.router.apply(at(weight, mirror=mirror))
        assert world.edges.things == {}
        assert world.router.read("flights") == at(0)

    def test_what_it_took_before_can_grow_and_be_cut(self, world: World) -> None:
        world.router.apply(at(5))
        world.edge_works = False
        world.router.apply(at(25))
        world.router.apply(at(25).cut())
        assert _weight(world) == 0


@pytest.mark.parametrize("manifest", ["gateway-api/edge.yaml", "istio/edge.yaml"])
def test_program_in_the_manifests_is_the_one_that_is_proven(manifest: str) -> None:
    *_, policy = yaml.safe_load_all((PROJECT / "docker" / "kubernetes" / "routers" / manifest).read_text())
    assert edge_script() in _texts(policy)


def _texts(value: object) -> list[str]:
    """All texts in a manifest."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


class TestWriterThatKnowsAnotherGateway:
    """One process was told of another Gateway than the others: the keeper, the sweep, a pod."""

    @pytest.fixture
    def stray(self, world: World) -> ClusterRouter:
        return ClusterRouter(type(world.dialect)("other", "elsewhere", "sg"), world.routes, world.edges, world.showing)

    def test_end_of_a_lease_leaves_the_route_with_the_gateways_that_follow_it(self, world: World, stray: ClusterRouter) -> None:
        world.router.apply(at(25))
        before = _attached(world)
        assert len(stray.enforce(time.time() + 61)) == 1
        assert _attached(world) == before
        assert world.backends() == {"champion"}

    def test_revert_renewal_and_growth_leave_it_too(self, world: World, stray: ClusterRouter) -> None:
        world.router.apply(at(25))
        before = _attached(world)
        stray.renew("flights", 1, time.time() + 600)
        stray.apply(at(50))
        stray.apply(at(50).cut())
        assert _attached(world) == before
        assert world.backends() == {"champion"}

    def test_removed_route_that_comes_again_goes_to_the_gateway_that_its_writer_knows(
        self, world: World, stray: ClusterRouter
    ) -> None:
        stray.apply(at(5))
        theirs = _attached(world)
        stray.remove("flights", 1)
        world.router.apply(at(5, token=2))
        assert _attached(world) != theirs
        assert world.backends() == {"champion", "candidate"}


class TestNobodyKeepsLeases:
    def test_no_weight_is_given(self, world: World) -> None:
        world.kept = False
        with pytest.raises(UnavailableError, match="no keeper"):
            world.router.apply(at(5))
        assert world.routes.things == {}

    def test_weight_is_cut_all_the_same(self, world: World) -> None:
        world.router.apply(at(25))
        world.kept = False
        world.router.apply(at(25).cut())
        assert _weight(world) == 0


class TestDamagedObject:
    @pytest.mark.parametrize("note", [None, "", "{", "{}", '{"token": 1, "route": {"weight": 25}}'])
    def test_candidate_gets_nothing_and_the_keeper_says_which(self, world: World, note: str | None) -> None:
        world.router.apply(at(25, mirror=20))
        world.routes.things[named("flights", "route")]["metadata"]["annotations"] = {} if note is None else {ANNOTATION: note}
        with pytest.raises(UnavailableError, match=f"{ANNOTATION} of (HTTPRoute|VirtualService) 'flights-route' is no route"):
            world.router.enforce(time.time())
        assert world.backends() == {"champion"}
        assert {rule.copies for rule in world.rules("flights")} == {0}

    def test_other_models_are_cut_in_time(self, world: World) -> None:
        other = replace(at(25), model="other")
        world.router.apply(at(25))
        world.router.apply(other)
        world.routes.things[named("flights", "route")]["metadata"]["annotations"] = {}
        assert world.router.enforce(time.time() + 61) == [other]

    def test_damaged_once_it_is_written_once(self, world: World) -> None:
        world.router.apply(at(25))
        world.routes.things[named("flights", "route")]["metadata"]["annotations"] = {}
        versions = set()
        for _ in range(3):
            with pytest.raises(UnavailableError):
                world.router.enforce(time.time())
            versions.add(_version(world))
        assert len(versions) == 1


@pytest.mark.parametrize("name", ["", "A", "a-b", "a/b", "a.b", "../x", "a" * 49, "kube-system/x"])
def test_name_that_could_lead_elsewhere_is_refused(world: World, name: str) -> None:
    with pytest.raises(InputError, match="is no name of a model"):
        world.router.apply(replace(at(0), model=name))
    assert world.routes.things == {}


def test_removed_route_is_attached_to_no_gateway_and_its_edge_is_gone(world: World) -> None:
    world.router.apply(at(5))
    world.router.remove("flights", 1)
    assert world.rules("flights") == []
    assert world.edges.things == {}


def test_what_a_proxy_shows_that_is_no_route_is_an_error() -> None:
    with pytest.raises(UnavailableError, match="which is none"):
        seen("bm9uZQ==")


def test_what_a_proxy_shows_is_the_route_without_token_and_lease() -> None:
    assert seen(seen_as(at(25, mirror=3))) == replace(at(25, mirror=3), token=0, expires_at=0.0)


def _weight(world: World) -> int:
    shown = meets(world.rules("flights"), "/models/flights/route", bucket_of(world.salt("flights"), "sluicegate"))
    assert shown is not None
    return seen(shown.answer_headers[SHOWN]).weight


def _attached(world: World) -> list[Any]:
    """To which gateways the route is attached, in the words of its kind."""
    spec = world.routes.things[named("flights", "route")]["spec"]
    return [spec.get(key) for key in ("parentRefs", "hosts", "gateways")]


def _version(world: World) -> str:
    return str(world.routes.things[named("flights", "route")]["metadata"]["resourceVersion"])


def _lease(world: World) -> float:
    note = json.loads(world.routes.things[named("flights", "route")]["metadata"]["annotations"][ANNOTATION])
    return float(note["route"]["expires_at"])
