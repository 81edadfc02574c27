"""The Meter port over the processes of one machine. A fresh meter counts the same as the one that it replaces."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sluicegate.adapters.local_meter.http import Source, gateway_counters
from sluicegate.adapters.local_meter.pairs import Pairs
from sluicegate.domain.evidence import ArmCounters, GatewayCounters, PairCounters, Reading
from sluicegate.domain.route import Route, Target
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings

Found = TypeVar("Found")


class LocalMeter:
    """Implements the Meter port. Use one from one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._envoy = Source("the gateway", settings.host, settings.gateway_admin_port)
        self._servers: dict[str, Source] = {}
        self._pairs: tuple[object, Pairs] | None = None
        self._pool = ThreadPoolExecutor(3, thread_name_prefix="meter")

    def read(self, route: Route, *, since: float) -> Reading:
        missing: list[str] = []
        asked = [self._pool.submit(_tried, ask) for ask in self._asks(route)]
        pairs = _tried(lambda: self._paired(route, since))
        champion, candidate, gateway = (_told(a.result(), missing) for a in asked)
        return Reading(
            taken_at=time.time(),
            champion=_arm(champion, "answer"),
            candidate=_arm(candidate, "answer"),
            pairs=_told(pairs, missing),
            gateway=gateway,
            missing=tuple(missing),
            mirror=_arm(candidate, "mirror"),
        )

    def _asks(self, route: Route) -> tuple[Callable[[], Any], ...]:
        return (
            lambda: self._evidence(route.model, route.champion),
            lambda: self._evidence(route.model, route.candidate),
            lambda: self._gateway(route),
        )

    def _evidence(self, model: str, target: Target | None) -> Any:
        if target is None:
            return None
        server = self._servers.setdefault(target.address, Source(f"version {target.version}", target.host, target.port))
        told = server.get("/evidence")
        if (told["model"], told["version"]) != (model, target.version):
            raise UnavailableError(
                f"{target.address} serves version {told['version']} of '{told['model']}', not {target.version}"
            )
        return told

    def _gateway(self, route: Route) -> GatewayCounters:
        return gateway_counters(self._envoy, route)

    def _paired(self, route: Route, since: float) -> PairCounters | None:
        if route.candidate is None:
            return None
        key = (route.model, route.champion.version, route.candidate.version, since)
        if self._pairs is None or self._pairs[0] != key:
            logs = self._settings.predictions / route.model
            ranged = self._score_range(route.model, route.candidate.version)
            self._pairs = (key, Pairs(logs / route.champion.version, logs / route.candidate.version, since, ranged))
        return self._pairs[1].read()

    def _score_range(self, model: str, version: str) -> tuple[float, float]:
        path = self._settings.packages / model / version / "manifest.json"
        try:
            low, high = json.loads(path.read_text())["score_range"]
        except (OSError, ValueError, KeyError) as e:
            raise UnavailableError(
                f"the score range of version {version} of '{model}' cannot be read from {path.name}: {e}"
            ) from e
        return float(low), float(high)


def _tried(ask: Callable[[], Found]) -> Found | UnavailableError:
    try:
        return ask()
    except UnavailableError as e:
        return e
    except OSError as e:
        return UnavailableError(f"a prediction log cannot be read: {e}")


def _told(found: Any, missing: list[str]) -> Any:
    """What was found; None, with its sentence among `missing`, when it was not."""
    if isinstance(found, UnavailableError):
        missing.append(str(found))
        return None
    return found


def _arm(told: Any, role: str) -> ArmCounters | None:
    if told is None:
        return None
    fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in told[role].items()}
    fields["slow"] = {bound: tuple(counts) for bound, counts in told[role]["slow"].items()}
    return ArmCounters(**fields)
