"""The Router port over Envoy's files: fence, write what is asked, make the documents from it, see that Envoy took them."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import inf
from pathlib import Path

from sluicegate.adapters.envoy_router.admin import EnvoyAdmin, becomes_true
from sluicegate.adapters.envoy_router.bootstrap import bootstrap
from sluicegate.adapters.envoy_router.documents import (
    ARMS,
    Document,
    cluster,
    cluster_document,
    endpoint_documents,
    route_document,
    routes_in,
)
from sluicegate.adapters.envoy_router.store import RouteStore, replace_file
from sluicegate.domain.route import Route, fence, next_route, refuse_late, renewable
from sluicegate.domain.route_text import Stored, leased
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings

PATIENCE_S = 5.0
"""How long a write waits for another writer."""
CUT_PATIENCE_S = 0.3
"""How long a cut waits for another writer before it goes ahead."""
FOLLOW_S = 1.0
"""Envoy follows a rename within some milliseconds; after this long it is told again, once."""
GUARD_ASKS_S = 0.2
"""How long an enforcement waits for Envoy to say what it has: a busy Envoy must not hold up the next look."""
GUARD_WITHIN_S = 5.0
"""A guard looks five times a second; one that has not looked for this long is dead, hangs, or was never started."""
HEARTBEAT = "guard"
"""File in the gateway's folder whose time is the guard's last look; giving it a new time needs no room on the disk."""


class EnvoyRouter:
    """Router over one local Envoy. Any number of processes may use it at once.

    Parameters
    ----------
    settings
        `gateway` is the folder that Envoy watches, `gateway_admin_port` where it says what it has.
    now
        Seconds since the epoch; a weight whose lease is over by then is refused.
    guard_within
        No weight is given when nobody has enforced leases for so many seconds; inf asks for no guard.
    resolve
        The address of a server's host, for hosts that are names.
    telling
        Whether Envoy answers clients who ask for a model's route.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] = time.time,
        *,
        guard_within: float = inf,
        resolve: Callable[[str], str] = str,
        telling: bool = False,
    ) -> None:
        self._folder = settings.gateway
        self._store = RouteStore(settings.gateway)
        self._admin = EnvoyAdmin(settings.gateway_admin_port)
        self._soon = EnvoyAdmin(settings.gateway_admin_port, GUARD_ASKS_S)
        self._now = now
        self._guard_within = guard_within
        self._resolve, self._telling = resolve, telling

    def apply(self, route: Route) -> None:
        """Make Envoy follow this route. UnavailableError when Envoy answers and does not follow; the write stands."""
        refuse_late(route, self._now())
        if route.weight:
            self._refuse_unguarded(route)
        cut = route.weight == 0 and route.mirror == 0
        with self._store.lock(CUT_PATIENCE_S if cut else PATIENCE_S, without=cut), self._or_standby(cut):
            stored = self._store.read(route.model)
            fence(route.model, stored.token, route.token)
            wanted = Stored(route.token, next_route(stored.route, route))
            if stored != wanted:
                self._store.write(route.model, wanted)
            version = self._publish()
            self._store.settle(route.model)
        self._confirm(version)

    def read(self, model: str) -> Route | None:
        """The route that Envoy follows now; UnavailableError when Envoy does not say."""
        shown = self._admin.routes().get(model)
        if shown is None:
            return None
        return leased(shown, self._store.read(model))

    def renew(self, model: str, token: int, expires_at: float) -> None:
        """Extend the lease; Envoy is not told, because its traffic does not change."""
        with self._store.lock(PATIENCE_S), self._or_standby(False):
            stored = self._store.read(model)
            fence(model, stored.token, token)
            route = replace(renewable(model, stored.route, expires_at, self._now()), token=token, expires_at=expires_at)
            self._store.write(model, Stored(token, route))
            self._store.settle(model)

    def remove(self, model: str, token: int) -> None:
        """Take the route away; requests to the model get 404."""
        with self._store.lock(PATIENCE_S), self._or_standby(False):
            stored = self._store.read(model)
            fence(model, stored.token, token)
            if stored.token >= 0:
                self._store.write(model, Stored(token))
                self._store.settle(model)
            version = self._publish()
        self._confirm(version)

    def enforce(self, now: float) -> list[Route]:
        """Cut what has no lease at `now`, and bring Envoy back to what was asked; works without the admin interface.

        A route file that cannot be read counts as cut, and is told (UnavailableError) when nothing else is to be done.
        """
        self._beat()
        late = [route for route in self._routes() if route.lease_over(now)]
        if late or not self._in_force():
            with self._store.lock(CUT_PATIENCE_S, without=True), self._or_standby(bool(late)):
                late = [route for route in self._routes() if route.lease_over(now)]
                for route in late:
                    self._store.write(route.model, Stored(route.token, route.cut()))
                self._publish(again=not late)
                for route in late:
                    self._store.settle(route.model)
        if not late:
            self._store.refuse_broken()
        return late

    def follow(self, asked: Mapping[str, Stored]) -> None:
        """Make Envoy follow routes that are kept elsewhere, where their writers were fenced; models that are not named stay."""
        with self._store.lock(CUT_PATIENCE_S, without=True), self._or_standby(False):
            for model, stored in asked.items():
                if self._store.kept(model) != stored:
                    self._store.write(model, stored)
            self._publish()

    def rebuild(self) -> None:
        """Make every document anew from what was asked, expired weights cut: for the start of the gateway."""
        with suppress(UnavailableError):  # a broken route file is the guard's to tell; the other models are served
            self.enforce(self._now())
        with self._store.lock(PATIENCE_S, without=True):
            self._publish(again=True)

    def _beat(self) -> None:
        with suppress(OSError):
            (self._folder / HEARTBEAT).touch()

    def _refuse_unguarded(self, route: Route) -> None:
        age = guard_age(self._folder)
        if age > self._guard_within:
            since = "never" if age == inf else f"not for {age:.0f} s"
            message = f"model '{route.model}' gets no weight: the lease guard has looked {since}: start it with `make up`"
            raise UnavailableError(message)

    def _routes(self) -> list[Route]:
        """The routes of all models. One whose file cannot be read is cut, as the standby has it, and disturbs no other."""
        routes, broken = self._store.routes(), self._store.broken()
        return routes + [route for route in self._standby() if route.model in broken]

    def _standby(self) -> list[Route]:
        try:
            return routes_in(json.loads((self._folder / "standby.json").read_text())["resources"][0])
        except (OSError, ValueError, LookupError):
            return []

    @contextmanager
    def _or_standby(self, cut: bool) -> Iterator[None]:
        """A cut that finds no room on the disk puts the standby in force: a rename needs none. It cuts every model."""
        try:
            yield
        except OSError as problem:
            if cut:
                with suppress(OSError):
                    (self._folder / "standby.json").replace(self._folder / "routes.json")
            raise UnavailableError(
                f"the gateway's folder {self._folder} cannot be written ({problem}): make room there"
            ) from problem

    def _in_force(self) -> bool:
        """Whether the documents are those of the routes, and Envoy, if it answers, has taken them."""
        wanted = self._table(self._routes())
        if not _same(self._folder / "routes.json", wanted):
            return False
        return becomes_true(lambda: self._soon.routes_version() == wanted["version_info"], 0.0) is not False

    def _publish(self, *, again: bool = False) -> str:
        """Write every document that differs, in the order that never names a cluster before it is there; returns the version.

        Endpoints, then new clusters, then the routes, then clusters that nothing names any more.
        """
        routes = self._routes()
        endpoints = endpoint_documents(routes, self._resolve)
        for name, document in endpoints.items():
            self._put(name, document)
        clusters = cluster_document((route.model for route in routes), self._folder)
        if self._put_clusters_first(clusters, len(routes)):
            names = {cluster(route.model, arm) for route in routes for arm in ARMS}
            becomes_true(lambda: self._admin.has_clusters(names), FOLLOW_S)
            routes = self._routes()  # a cut may have gone ahead without the lock meanwhile
        table = self._table(routes)
        self._put("standby.json", self._table([route.cut() for route in routes]))
        self._put("routes.json", table, again=again)
        self._put("clusters.json", clusters)
        for path in (self._folder / "endpoints").glob("*.json"):
            if f"endpoints/{path.name}" not in endpoints:
                path.unlink(missing_ok=True)
        return str(table["version_info"])

    def _table(self, routes: Iterable[Route]) -> Document:
        return route_document(routes, telling=self._telling)

    def _put_clusters_first(self, clusters: Document, models: int) -> bool:
        path = self._folder / "clusters.json"
        known = len(json.loads(path.read_text())["resources"]) if path.exists() else 0
        return models * len(ARMS) > known and self._put("clusters.json", clusters)

    def _put(self, name: str, document: Document, *, again: bool = False) -> bool:
        path = self._folder / name
        if not again and _same(path, document):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(document, indent=1))
        return True

    def _confirm(self, version: str) -> None:
        """See Envoy follow; an Envoy that is not there will read the files when it starts."""
        if self._follows(version) is not False:
            return
        with self._store.lock(PATIENCE_S):
            version = self._publish(again=True)
        if self._follows(version) is False:
            raise UnavailableError(f"the gateway did not take route version {version} within {2 * FOLLOW_S:g} s: read its log")

    def _follows(self, version: str) -> bool | None:
        """Also true when a later writer has replaced this version before Envoy showed it."""
        path = self._folder / "routes.json"
        return becomes_true(lambda: self._admin.routes_version() == version or not _version(path, version), FOLLOW_S)


def prepare(settings: Settings, now: Callable[[], float] = time.time) -> None:
    """Write everything that Envoy reads at its start: bootstrap and documents of the stored routes, expired weights cut.

    Safe at any time and as often as one likes; without models the gateway answers 404 with a JSON sentence.
    """
    settings.gateway.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.gateway / "endpoints").mkdir(exist_ok=True)
    replace_file(settings.gateway / "bootstrap.json", json.dumps(bootstrap(settings), indent=1))
    EnvoyRouter(settings, now).rebuild()


def guard_age(folder: Path) -> float:
    """Seconds since the guard of this gateway folder looked last, inf when it never did; a time in the future is no look."""
    try:
        age = time.time() - (folder / HEARTBEAT).stat().st_mtime
    except OSError:
        return inf
    return abs(age)


def _same(path: Path, document: Document) -> bool:
    return _version(path, document["version_info"])


def _version(path: Path, version: str) -> bool:
    try:
        return bool(json.loads(path.read_text())["version_info"] == version)
    except (FileNotFoundError, ValueError, KeyError):
        return False
