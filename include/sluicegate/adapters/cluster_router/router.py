"""The Router port over objects of a cluster: fence, write the whole object at the version that was read, see the gateway follow.

The object is the truth: its annotation holds route, token and lease, its specification is made from them. Two writers cannot
interleave, because the API server takes a write only at the version that its writer has read.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sluicegate import kube
from sluicegate.adapters.cluster_router.dialect import Dialect
from sluicegate.adapters.cluster_router.objects import Objects, Thing
from sluicegate.domain.route import Route, fence, next_route, refuse_late, renewable
from sluicegate.domain.route_text import Stored, from_document, leased, plain, shown, to_document
from sluicegate.errors import RefusedError, SluicegateError, UnavailableError

ANNOTATION = "sluicegate/route"
"""Route, token and lease as JSON."""
EDGE_ANNOTATION = "sluicegate/edge"
"""What the edge was told, and by which token."""
FOLLOW_S = 5.0
"""A gateway follows a write within some tenths of a second."""
ASK_EVERY_S = 0.02
TRIES = 8
"""How often a write that met another one is tried again."""


class ClusterRouter:
    """Router over one kind of object. Any number of processes may use it at once.

    Parameters
    ----------
    dialect
        What is written for a route.
    objects, edges
        Where routes are kept, and what tells the edge a model's salt.
    showing
        The route of a model that each proxy shows which could be asked, or None; UnavailableError when one does not answer.
    kept
        Raises UnavailableError when nobody would enforce the lease of a weight.
    edge_works
        Raises UnavailableError when the gateway would not take what the edge is told, and might then refuse the model's requests.
    now
        Seconds since the epoch; a weight whose lease is over by then is refused.
    settle
        Seconds until a proxy that shows the first route of a model also has the servers that it names.
    """

    def __init__(
        self,
        dialect: Dialect,
        objects: Objects,
        edges: Objects,
        showing: Callable[[str], Sequence[Route | None]],
        *,
        kept: Callable[[], None] = lambda: None,
        edge_works: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
        settle: float = 0.0,
    ) -> None:
        self._dialect, self._objects, self._edges = dialect, objects, edges
        self._showing, self._kept, self._edge_works, self._now = showing, kept, edge_works, now
        self._newest: dict[str, int] = {}
        self._settle = settle

    def apply(self, route: Route) -> None:
        """Make the gateway follow this route. UnavailableError when it does not, or not to be seen; the write stands."""
        refuse_late(route, self._now())
        if route.weight:
            self._kept()
        stored, _ = self._stored(route.model)
        _next(stored, route)  # refused here, a late writer has not even told the edge
        if route.candidate is not None and (route.weight or route.mirror):
            self._tell_edge(route)
        self._write(route.model, lambda present: _next(present, route))
        self._confirm(route)
        if stored.route is None:
            time.sleep(self._settle)

    def read(self, model: str) -> Route | None:
        """The route that the gateway follows now, while proxies differ the one that exposes most; UnavailableError when none says."""
        shown_by = [route for route in self._showing(model) if route is not None]
        if not shown_by:
            return None
        seen = max(shown_by, key=lambda route: (route.weight, route.mirror))
        return leased(seen, self._stored(model)[0])

    def renew(self, model: str, token: int, expires_at: float) -> None:
        """Extend the lease; the gateway is not asked, because its traffic does not change."""

        def extended(stored: Stored) -> Stored:
            fence(model, stored.token, token)
            held = renewable(model, stored.route, expires_at, self._now())
            return Stored(token, replace(held, token=token, expires_at=expires_at))

        self._write(model, extended)

    def remove(self, model: str, token: int) -> None:
        """Take the route away; requests to the model get 404."""

        def gone(stored: Stored) -> Stored:
            fence(model, stored.token, token)
            return Stored(token) if stored.token >= 0 else stored

        if self._write(model, gone).token < 0:
            return
        if self._dialect.edge_kind is not None:
            self._edges.delete(_name(model))
        self._confirm_gone(model)

    def enforce(self, now: float) -> list[Route]:
        """Cut what has no lease at `now`; needs the API server alone. A route that cannot be read counts as cut, and is told."""
        cut: list[Route] = []
        problems: list[SluicegateError] = []
        for thing in self._objects.listed():
            try:
                cut += self._cut_late(thing, now)
            except SluicegateError as problem:
                problems.append(problem)
        if problems and not cut:
            raise problems[0]
        return cut

    def asked(self) -> dict[str, Stored]:
        """What was asked for every model, by objects that can be read and are no older than those of the call before."""
        found: dict[str, Stored] = {}
        for thing in self._objects.listed():
            meta = thing["metadata"]
            version = int(meta["resourceVersion"])
            if version < self._newest.get(meta["name"], 0):
                continue
            self._newest[meta["name"]] = version
            with suppress(SluicegateError):  # `enforce` tells which one it is
                found[_model(thing)] = self._read(thing)
        return found

    def _cut_late(self, thing: Thing, now: float) -> list[Route]:
        """The object may be some milliseconds old: what is cut is decided again on what is there."""
        found = self._read(thing).route
        if found is None or not found.lease_over(now):
            return []
        before: list[Route] = []

        def cut(stored: Stored) -> Stored:
            before[:] = [stored.route] if stored.route is not None and stored.route.lease_over(now) else []
            return Stored(stored.token, before[0].cut()) if before else stored

        self._write(found.model, cut)
        return before

    def _write(self, model: str, decide: Callable[[Stored], Stored]) -> Stored:
        """Decide on what is there and write it at that version, again when somebody else was faster."""
        for _ in range(TRIES):
            stored, thing = self._stored(model)
            wanted = decide(stored)
            if wanted == stored:
                return wanted
            try:
                self._objects.put(self._thing(model, wanted, thing, stored))
            except kube.ConflictError:
                continue
            return wanted
        raise UnavailableError(f"the route of model '{model}' was written by others {TRIES} times meanwhile: try again")

    def _thing(self, model: str, wanted: Stored, present: Thing | None, stored: Stored) -> Thing:
        """A route that is there stays with the gateways that follow it: a writer who was told of another one must not take it off."""
        body = self._dialect.gone() if wanted.route is None else self._dialect.body(wanted.route)
        if present is not None and stored.route is not None and wanted.route is not None:
            body = self._dialect.attached(body, present)
        note = json.dumps(to_document(wanted), sort_keys=True)
        return {"metadata": _meta(model, {ANNOTATION: note}, present), **body}

    def _stored(self, model: str) -> tuple[Stored, Thing | None]:
        thing = self._objects.get(_name(model))
        return (Stored(), None) if thing is None else (self._read(thing), thing)

    def _read(self, thing: Thing) -> Stored:
        """What the annotation says. An object that says nothing readable gives the candidate nothing, from now on."""
        meta = thing["metadata"]
        try:
            return from_document(json.loads(meta.get("annotations", {})[ANNOTATION]))
        except (ValueError, KeyError, TypeError, RefusedError) as problem:
            self._tame(thing)
            where = f"the annotation {ANNOTATION} of {self._dialect.kind.kind} '{meta['name']}'"
            raise UnavailableError(
                f"{where} is no route ({problem!r}): restore it, or delete the object and start the release again"
            ) from problem

    def _tame(self, thing: Thing) -> None:
        calm = self._dialect.tame(thing)
        if any(thing.get(key) != value for key, value in calm.items()):
            meta = {key: thing["metadata"][key] for key in ("name", "resourceVersion")}
            self._objects.put({"metadata": meta, **calm})

    def _tell_edge(self, route: Route) -> None:
        """The salt, before the route that needs it: until the edge has it, nobody has a bucket that the route follows."""
        if self._dialect.edge_kind is None:
            return
        for _ in range(TRIES):
            thing = self._edges.get(_name(route.model))
            told = json.loads((thing or {"metadata": {}})["metadata"].get("annotations", {}).get(EDGE_ANNOTATION, "{}"))
            fence(route.model, told.get("token", -1), route.token)
            wanted = {"token": route.token, "salt": route.salt}
            if told == wanted:
                return
            self._edge_works()
            note, body = {EDGE_ANNOTATION: json.dumps(wanted)}, self._dialect.edge(route.model, _name(route.model), route.salt)
            try:
                self._edges.put({"metadata": _meta(route.model, note, thing), **body})
            except kube.ConflictError:
                continue
            return
        raise UnavailableError(f"the edge of model '{route.model}' was told by others {TRIES} times meanwhile: try again")

    def _confirm(self, route: Route) -> None:
        """See the gateway follow. A cut is not refused because nobody can see it: it is written, and a proxy reads it."""
        deadline = time.monotonic() + FOLLOW_S
        while True:
            try:
                seen = self._showing(route.model)
            except UnavailableError:
                if route.weight or route.mirror:
                    raise
                return
            if all(each is not None and shown(each) == shown(route) for each in seen):
                return
            if time.monotonic() >= deadline:
                break
            time.sleep(ASK_EVERY_S)
        now = self._stored(route.model)[0].route
        if now is not None and shown(now) == shown(route):  # else a later writer has replaced it before it was seen
            raise UnavailableError(
                f"the gateway did not follow the route of model '{route.model}' within {FOLLOW_S:g} s: "
                f"read the status of {self._dialect.kind.kind} '{_name(route.model)}'"
            )

    def _confirm_gone(self, model: str) -> None:
        deadline = time.monotonic() + FOLLOW_S
        try:
            while any(self._showing(model)) and time.monotonic() < deadline:
                time.sleep(ASK_EVERY_S)
        except UnavailableError:
            return


def _next(stored: Stored, route: Route) -> Stored:
    fence(route.model, stored.token, route.token)
    return Stored(route.token, next_route(stored.route, route))


def _name(model: str) -> str:
    return kube.named(plain(model), "route")


def _model(thing: Thing) -> str:
    """Names of models are plain, so the label has them as they are."""
    return str(thing["metadata"]["labels"]["sluicegate/model"])


def _meta(model: str, annotations: dict[str, str], present: Thing | None) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": _name(model), "labels": kube.labels("gateway", model=model), "annotations": annotations}
    if present is not None:
        meta["resourceVersion"] = present["metadata"]["resourceVersion"]
    return meta
