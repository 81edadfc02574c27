"""The landing area in a store: objects wait in landing/<model>/ and are taken to data/<model>/landed/.

An object is whole or absent, so whatever is listed has landed. Producers may put objects there themselves, by whatever tool, as long as
they replace none: `drop` gives a name that is still waiting a number. Taking copies before it removes, so that kill -9 at any instant
leaves the file in at least one of the two places.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sluicegate.adapters.object_store.cache import Cache
from sluicegate.adapters.object_store.objects import Entry, Objects
from sluicegate.adapters.object_store.shelf import Shelf, digest
from sluicegate.domain.landed import MOST_OF_A_NAME, check_landing, numbered, shown
from sluicegate.errors import InputError, RefusedError
from sluicegate.folders import child
from sluicegate.ports.landing import Arrival

FILE, NOTE = "file", "arrival.json"
LONGEST_NAME = 255
"""Bytes; S3 itself takes more, the file systems behind some stores do not."""


class ObjectLanding:
    """Implements the Landing port."""

    def __init__(self, objects: Objects, shelf: Shelf, cache: Cache) -> None:
        self._objects, self._shelf, self._cache = objects, shelf, cache

    def drop(self, model: str, name: str, source: Path) -> str:
        check_landing(name)
        if len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME or not name.isprintable():
            raise InputError(f"a file cannot land as {name[:80]!r}: give a printable name of at most {LONGEST_NAME} bytes")
        waiting = {_last(entry) for entry in self._objects.entries(_area(model))}
        for number in range(1, MOST_OF_A_NAME):
            free = numbered(name, number)
            if free not in waiting and self._objects.create_file(f"{_area(model)}/{free}", source, time.time()):
                return free
        raise RefusedError(f"{MOST_OF_A_NAME} files named like '{name}' wait in {_area(model)}: ingest does not run")

    def look(self, model: str) -> Mapping[str, str]:
        return {shown(_last(entry)): entry.tag for entry in self._objects.entries(_area(model))}

    def waiting(self, model: str) -> list[Arrival]:
        seen = (self._seen(model, entry) for entry in self._objects.entries(_area(model)))
        return sorted((one[0] for one in seen if one), key=lambda a: (a.arrived_at, a.name, a.batch_id))

    def take(self, arrival: Arrival) -> Path:
        kind = _kind(arrival.model)
        entry = self._entry(arrival)
        seen = self._seen(arrival.model, entry) if entry else None
        same = seen is not None and seen[0] == arrival
        if self._shelf.marker(kind, arrival.batch_id) is None:
            if seen is None:
                raise RefusedError(
                    f"'{arrival.name}' is neither waiting in {_area(arrival.model)} nor taken: was it removed by hand?"
                )
            if not same:
                raise RefusedError(
                    f"'{arrival.name}' changed since it was seen: it stays in {_area(arrival.model)}, take it again"
                )
            self._shelf.commit(kind, arrival.batch_id, seen[1], asdict(arrival))
        if entry is not None and same:
            self._objects.remove(entry.name, entry.tag)
        folder = self._shelf.fetch(kind, arrival.batch_id)
        if folder is None:
            raise RefusedError(f"'{arrival.name}' was taken and is gone: somebody removes objects from {kind}")
        return folder / FILE

    def taken(self, model: str) -> list[Arrival]:
        found = [Arrival(**marker.note) for marker in self._shelf.markers(_kind(model)).values()]
        return sorted(found, key=lambda a: (a.arrived_at, a.name, a.batch_id))

    def _entry(self, arrival: Arrival) -> Entry | None:
        """The waiting object: names are matched as they are shown."""
        entries = self._objects.entries(_area(arrival.model))
        return next((entry for entry in entries if shown(_last(entry)) == arrival.name), None)

    def _seen(self, model: str, entry: Entry) -> tuple[Arrival, Path] | None:
        """The arrival that the object is, with a local copy; None when it is gone. Each content is fetched once."""
        version = hashlib.sha256(f"{entry.name} {entry.tag}".encode()).hexdigest()[:32]
        try:
            folder = self._cache.folder(_area(model), version, lambda to: self._fetch(model, entry, to))
        except RefusedError:
            return None
        return Arrival(**json.loads((folder / NOTE).read_text())), folder

    def _fetch(self, model: str, entry: Entry, to: Path) -> None:
        arrived_at = self._objects.arrived_at(entry)
        self._objects.download(entry.name, to / FILE)
        size = (to / FILE).stat().st_size
        arrival = Arrival(model, digest(to / FILE)[:32], shown(_last(entry)), size, arrived_at)
        (to / NOTE).write_text(json.dumps(asdict(arrival)))


def _area(model: str) -> str:
    return f"landing/{child(Path(), model)}"


def _kind(model: str) -> str:
    return f"data/{child(Path(), model)}/landed"


def _last(entry: Entry) -> str:
    return entry.name.rpartition("/")[2]
