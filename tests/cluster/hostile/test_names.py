"""Names of models, batches, orders and versions that want to reach more than themselves reach nothing, on a real cluster and store.

Everything is done with the service account of the role that does it, so a try outside the namespace would be refused and told; and all
of it is watched from outside with all rights.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.hostile.siege import ASKED, IMAGE, SERVING, Siege

from sluicegate import kube
from sluicegate.adapters.cluster_router import ClusterRouter
from sluicegate.adapters.cluster_router.envoys import Envoys
from sluicegate.adapters.cluster_router.gateway_api import GatewayApi
from sluicegate.adapters.cluster_router.istio import Istio
from sluicegate.adapters.cluster_router.objects import KubeObjects
from sluicegate.adapters.cluster_router.router import ANNOTATION
from sluicegate.adapters.deployment_runtime import DeploymentRuntime
from sluicegate.adapters.object_store import ObjectStore
from sluicegate.adapters.order_pods import OrderPods
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job, manifest
from sluicegate.domain.route import Route, Target
from sluicegate.domain.route_text import PLAIN, from_document
from sluicegate.errors import InputError, OrderError, RefusedError, SluicegateError, SpecError, UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.cluster import Cluster
from sluicegate.testing.hostile.strings import HOSTILE, NAMES, SELECTORS
from sluicegate.testing.package import toy_package

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

EVIL = [text for text in dict.fromkeys((*NAMES, *SELECTORS, *HOSTILE)) if len(text) <= 300]
MARKS = frozenset(kube.label(text) for text in EVIL if text and kube.label(text) != text)
SHORT = [text for text in EVIL if len(text) <= 100]
"""What a header has room for."""
PLAIN_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PLACES = [text for text in EVIL if not text.isalnum()]
"""Names that could mean another place of a store."""
REFUSED = (InputError, RefusedError, OrderError, SpecError)


@pytest.fixture(scope="module")
def siege(cluster: Cluster, module_namespaces: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    folder, ours, theirs = tmp_path_factory.mktemp("siege"), module_namespaces(), module_namespaces()

    def settings(namespace: str, place: str) -> Settings:
        url = f"s3://sluicegate/{ours}/{place}"
        home = folder / place
        return Settings(profile="kubernetes", namespace=namespace, store_url=url, home=home, image_work=IMAGE, image_serve=IMAGE)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        made = Siege(cluster, settings(ours, "a"), settings(theirs, "ab"), folder)  # one prefix begins like the other
        made.prepare()
        yield made


def client(siege: Siege, role: str) -> "ApiClient":
    with siege.acting(role):
        return kube.client(siege.ours)


@pytest.mark.parametrize("change", ["an object is made", "an object is changed", "a key is made", "a key is gone"])
def test_the_watch_notices_when_next_door(siege: Siege, change: str) -> None:
    with pytest.raises(AssertionError, match=r"made outside|changed or gone"), siege.unharmed():
        siege.harm(change)


def test_an_order_makes_and_removes_its_own_pod_and_no_other(siege: Siege) -> None:
    with siege.acting("airflow"):
        pods, made = OrderPods(siege.ours), 0
        with siege.unharmed(MARKS):
            for evil in EVIL:
                release = {"verb": evil or "open", "rollout_id": evil, "run_id": evil}
                for order in (
                    Order(evil or "train", evil or "toy", {"batch_id": evil}),
                    Order("release", evil or "toy", release),
                ):
                    job = Job(order, f"{siege.ours.store_url}/orders/{order.key}/order.json", ASKED, "resources")
                    assert pods.claim(job, manifest(job, siege.ours)).state == "started"
                    pods.clear(job)
                    made += 1
    assert made == 2 * len(EVIL)


def test_a_name_selects_nothing_but_what_bears_it(siege: Siege) -> None:
    api, namespace = client(siege, "airflow"), siege.ours.namespace
    assert len(kube.listed(api, "v1", "Pod", namespace, {"sluicegate/model": "flights"})) == 1
    with siege.unharmed():
        for evil in EVIL:
            assert kube.listed(api, "v1", "Pod", namespace, {"sluicegate/model": evil}) == []
            if kube._NAME.fullmatch(evil):
                assert kube.read(api, "v1", "Pod", namespace, evil) is None
                kube.remove(api, "v1", "Pod", namespace, evil)
                continue
            for ask in (kube.read, kube.remove):
                with pytest.raises(RefusedError, match="is no name of an object"):
                    ask(api, "v1", "Pod", namespace, evil)


@pytest.mark.parametrize("namespace", ["kube-system", "default", "../default", "x/../kube-system", "*", "", "a?b", "ünïcode"])
def test_another_namespace_is_refused_by_its_name_or_by_the_rights(siege: Siege, namespace: str) -> None:
    for role in ("airflow", "release"):
        api = client(siege, role)
        for ask in (kube.read, kube.remove):
            with pytest.raises(RefusedError, match=r"is no name of an object|forbids"):
                ask(api, "v1", "ConfigMap", namespace, "kube-root-ca.crt")


def test_a_version_starts_and_stops_its_own_servers_and_no_other(siege: Siege, tmp_path: Path) -> None:
    toy_package(tmp_path)
    with siege.acting("release"):
        runtime = DeploymentRuntime(siege.ours, lambda _: SERVING)
        refused: list[str] = []
        with siege.unharmed(MARKS):
            for model, version in [(m, v) for evil in EVIL for m, v in ((evil, "1"), ("toy", evil))]:
                try:
                    runtime.start(model, version, tmp_path / "package")
                except REFUSED as why:
                    refused.append(str(why))
                with contextlib.suppress(RefusedError):
                    runtime.stop(model, version)
                with contextlib.suppress(RefusedError):
                    assert runtime.status(version) == []
    assert len(refused) > len(EVIL)
    assert [why for why in refused if "forbids" in why] == [], "tried, and stopped by its rights alone"


def away(_: str) -> list[Route | None]:
    raise UnavailableError("no proxy follows what is tried here")


@pytest.fixture(params=["envoy", "gateway-api", "istio"])
def router(request: pytest.FixtureRequest, siege: Siege, gateway_class: str) -> ClusterRouter:
    """Over the real API server, with the rights of a release. Of Istio nothing is installed: whatever were asked for would fail."""
    namespace = siege.ours.namespace
    dialects = {
        "envoy": Envoys(namespace),
        "gateway-api": GatewayApi("gate", namespace, namespace),
        "istio": Istio("gate", namespace, "sg"),
    }
    dialect: Any = dialects[request.param]
    api = cache(partial(client, siege, "release"))
    edges = KubeObjects(api, dialect.edge_kind or dialect.kind, namespace)
    return ClusterRouter(dialect, KubeObjects(api, dialect.kind, namespace), edges, away)


REAL = pytest.mark.parametrize("router", ["envoy", "gateway-api"], indirect=True)
"""Those whose objects the cluster has."""


def at(namespace: str, **more: Any) -> Route:
    champion = Target("1", f"flights-v1.{namespace}.svc.cluster.local", 8080)
    return Route(**{"model": "besieged", "champion": champion, "token": 1, **more})


def test_a_route_of_a_hostile_model_is_refused_before_anybody_is_asked(siege: Siege, router: ClusterRouter) -> None:
    with siege.unharmed(MARKS):
        for evil in [text for text in EVIL if not PLAIN.fullmatch(text)]:
            for verb in (
                partial(router.apply, at(siege.ours.namespace, model=evil)),
                partial(router.renew, evil, 1, 1e10),
                partial(router.remove, evil, 1),
            ):
                with pytest.raises(InputError, match="is no name of a model"):
                    verb()


@REAL
def test_a_route_leads_to_no_server_of_others(siege: Siege, router: ClusterRouter) -> None:
    theirs = siege.neighbours.namespace
    hosts = (
        *EVIL,
        f"flights-v1.{theirs}.svc.cluster.local",
        f"flights-v1.{theirs}.svc",
        "kube-dns.kube-system.svc.cluster.local",
    )
    with siege.unharmed(MARKS):
        for host in hosts:
            with pytest.raises(RefusedError, match="is no Service of namespace"):
                router.apply(at(siege.ours.namespace, champion=Target("1", host, 8080)))


@REAL
def test_hostile_versions_and_salts_are_text_in_a_route_or_refused(siege: Siege, router: ClusterRouter) -> None:
    kind, api = router._dialect.kind, client(siege, "release")
    host = f"flights-v1.{siege.ours.namespace}.svc.cluster.local"
    names_versions = isinstance(router._dialect, GatewayApi)  # in a header, where a proxy would read what is in them
    with siege.unharmed():
        for token, evil in enumerate(SHORT, 1):
            route = at(siege.ours.namespace, champion=Target(evil, host, 8080), salt=evil, token=token)
            if names_versions and not PLAIN_VERSION.fullmatch(evil):
                with pytest.raises(RefusedError, match="cannot be named in a header"):
                    router.apply(route)
                route = replace(route, champion=replace(route.champion, version="1"))
            router.apply(route)
            found = kube.read(api, kind.api_version, kind.kind, siege.ours.namespace, kube.named("besieged", "route"))
            assert found is not None
            assert from_document(json.loads(found["metadata"]["annotations"][ANNOTATION])).route == route
            assert set(found["metadata"]["annotations"]) == {ANNOTATION}
        router.remove("besieged", len(SHORT))


def test_no_name_leads_out_of_the_prefix_of_the_store(siege: Siege, tmp_path: Path) -> None:
    store, folder = ObjectStore(siege.ours), tmp_path / "folder"
    folder.mkdir()
    for name, content in (("result.json", "{}"), ("report.json", '{"batch_id": "x"}')):
        (folder / name).write_text(content)
    log, order = folder / "result.json", partial(Order, "train")
    with siege.unharmed():
        for evil in PLACES:
            tries: list[Callable[[], Any]] = [
                lambda evil=evil: store.outbox.take(store.outbox.send(order(evil, {"batch_id": evil}))),
                lambda evil=evil: store.outbox.tell(evil, log, None),
                lambda evil=evil: store.results.find(evil),
                lambda evil=evil: store.results.commit(evil, folder),
                lambda evil=evil: store.dataset.commit(evil, "x", folder),
                lambda evil=evil: store.dataset.commit("flights", evil, folder),
                lambda evil=evil: store.dataset.keep("flights", evil, folder),
                lambda evil=evil: store.dataset.batches(evil),
                lambda evil=evil: store.landing.drop(evil, "b.csv", log),
                lambda evil=evil: store.landing.drop("flights", evil, log),
                lambda evil=evil: store.landing.waiting(evil),
                lambda evil=evil: store.sources.fetch(evil, "flights"),
                lambda evil=evil: store.shipper(folder, evil, "1", "s").ship(),
                lambda evil=evil: store.shipper(folder, "flights", evil, "s").ship(),
            ]
            for one in tries:
                with contextlib.suppress(*REFUSED):
                    one()


def test_what_lies_next_door_is_not_read(siege: Siege) -> None:
    store, theirs = ObjectStore(siege.ours), siege.neighbours.store_url
    up = f"{siege.ours.store_url}/../ab"
    for url in (f"{theirs}/orders/a/order.json", f"{up}/orders/a/order.json", f"{siege.ours.store_url}b/orders/a/order.json"):
        with pytest.raises(OrderError, match="there is no order at"):
            store.outbox.take(url)
    for name in ("../../ab/results/committed/a", "../ab", "..", "a/../../../ab/results/committed/a"):
        with pytest.raises(SluicegateError, match="is no id"):
            store.results.find(name)
