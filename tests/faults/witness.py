"""Looks at the gateway and its files from outside, ten times a second, and writes down what changed."""

import http.client
import json
import re
import threading
import time
from dataclasses import replace
from typing import Any

from tests.faults.records import Held, Shown

from sluicegate.settings import Settings

EVERY_S = 0.1
_COUNTER = re.compile(r"^cluster\.([a-z0-9_]+)/candidate\.upstream_rq_total: (\d+)$", re.MULTILINE)


class Witness:
    """Sees without being asked; believes the data plane, not the router's own reading of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.shown: list[Shown] = []
        self.held: list[Held] = []
        self._last_shown: dict[str, int] = {}
        self._last_held: dict[str, Held] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def now(self, lane: str) -> Shown | None:
        """The lane's last known state."""
        place = self._last_shown.get(lane)
        return None if place is None else self.shown[place]

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._see_leases()
            try:
                self._see_gateway()
            except (OSError, http.client.HTTPException, ValueError):
                continue  # a gateway that is down shows nothing

    def _see_gateway(self) -> None:
        asked = time.time()
        table = self._get("/config_dump?resource=dynamic_route_configs")
        counters = {lane: int(n) for lane, n in _COUNTER.findall(self._get("/stats?filter=candidate.upstream_rq_total").decode())}
        seen = time.time()
        for state in states(json.loads(table), seen):
            requests = counters.get(state.lane, 0)
            self._add(replace(state, requests=requests, requests_later=requests, until=asked))

    def _add(self, state: Shown) -> None:
        lane = state.lane
        place = self._last_shown.get(lane)
        if place is not None and _same(self.shown[place], state):
            self.shown[place] = replace(self.shown[place], requests_later=state.requests, until=state.until)
            return
        self._last_shown[lane] = len(self.shown)
        self.shown.append(state)

    def _see_leases(self) -> None:
        now = time.time()
        for path in (self._settings.gateway / "routes").glob("*.json"):
            try:
                raw = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            route = raw.get("route") or {}
            lease = Held(now, path.stem, int(raw["token"]), int(route.get("weight", 0)), route.get("expires_at"))
            last = self._last_held.get(path.stem)
            if last is None or replace(last, at=now) != lease:
                self._last_held[path.stem] = lease
                self.held.append(lease)

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._settings.gateway_admin_port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


def states(dump: dict[str, Any], at: float) -> list[Shown]:
    """The weights are those that Envoy draws by; the note beside them only tells what they were made from."""
    tables = dump.get("configs", [])
    hosts = tables[0].get("route_config", {}).get("virtual_hosts", []) if tables else []
    return [_state(entry, at) for host in hosts for entry in host["routes"] if "sluicegate" in _metadata(entry)]


def _metadata(entry: dict[str, Any]) -> dict[str, Any]:
    return dict(entry.get("metadata", {}).get("filter_metadata", {}))


def _state(entry: dict[str, Any], at: float) -> Shown:
    note = json.loads(_metadata(entry)["sluicegate"]["route"])
    weights = {c["name"].partition("/")[2]: int(c.get("weight", 0)) for c in entry["route"]["weighted_clusters"]["clusters"]}
    candidate = note["candidate"]["version"] if note["candidate"] else ""
    facts = (weights["candidate"] // 100, note["mirror"], note["salt"], note["champion"]["version"], candidate)
    return Shown(at, note["model"], *facts, total=sum(weights.values()))


def _same(one: Shown, other: Shown) -> bool:
    """The same state of the same gateway: a counter that fell belongs to a gateway that was started again."""
    facts = ("lane", "weight", "mirror", "salt", "champion", "candidate", "total")
    return all(getattr(one, f) == getattr(other, f) for f in facts) and other.requests >= one.requests_later
