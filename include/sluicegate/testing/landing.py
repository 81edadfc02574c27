"""A landing area in memory; only what is taken becomes a file, since ingest reads files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sluicegate.domain.landed import MOST_OF_A_NAME, check_landing, numbered
from sluicegate.errors import RefusedError
from sluicegate.ports.landing import Arrival


class MemoryLanding:
    """Implements the Landing port. Time goes on by one second with every drop, from `now`."""

    def __init__(self, root: Path, now: float = 1_700_000_000.0) -> None:
        self._root = root
        self.now = now
        self._waiting: dict[tuple[str, str], tuple[bytes, float]] = {}
        self._taken: dict[tuple[str, str], Arrival] = {}

    def drop(self, model: str, name: str, source: Path) -> str:
        check_landing(name)
        free = next(free for n in range(1, MOST_OF_A_NAME) if (model, free := numbered(name, n)) not in self._waiting)
        self._waiting[model, free] = (source.read_bytes(), self.now)
        self.now += 1
        return free

    def look(self, model: str) -> Mapping[str, str]:
        return {name: str(at) for (owner, name), (_, at) in self._waiting.items() if owner == model}

    def waiting(self, model: str) -> list[Arrival]:
        here = [(name, *what) for (owner, name), what in self._waiting.items() if owner == model]
        return sorted((_arrival(model, *one) for one in here), key=lambda a: (a.arrived_at, a.name))

    def take(self, arrival: Arrival) -> Path:
        key, waits = (arrival.model, arrival.batch_id), self._waiting.get((arrival.model, arrival.name))
        same = waits is not None and _arrival(arrival.model, arrival.name, *waits) == arrival
        path = self._root / arrival.model / arrival.batch_id
        if key not in self._taken:
            if waits is None or not same:
                raise RefusedError(f"'{arrival.name}' is not waiting, or changed since it was seen")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(waits[0])
            self._taken[key] = arrival
        if same:
            del self._waiting[arrival.model, arrival.name]
        return path

    def taken(self, model: str) -> list[Arrival]:
        return sorted((a for a in self._taken.values() if a.model == model), key=lambda a: (a.arrived_at, a.name))


def _arrival(model: str, name: str, data: bytes, at: float) -> Arrival:
    return Arrival(model, hashlib.sha256(data).hexdigest()[:32], name, len(data), at)
