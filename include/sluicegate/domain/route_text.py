"""A route as it is kept: JSON with the newest fencing token that wrote it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sluicegate.domain.route import Route, Target


@dataclass(frozen=True)
class Stored:
    """The newest write: its token and the route, or None after a removal (the token outlives the route)."""

    token: int = -1
    route: Route | None = None


def to_document(stored: Stored) -> dict[str, Any]:
    """The JSON form of the newest write."""
    return {"format": 1, "token": stored.token, "route": None if stored.route is None else asdict(stored.route)}


def from_document(raw: Mapping[str, Any]) -> Stored:
    """Its inverse; KeyError, TypeError, ValueError or RefusedError for what is none."""
    route = raw["route"]
    return Stored(int(raw["token"]), None if route is None else route_of(route))


def route_of(raw: Mapping[str, Any], expires_at: float | None = None) -> Route:
    """A route from its JSON form; a weight without a lease in it gets `expires_at`."""
    candidate = raw["candidate"]
    return Route(
        model=raw["model"],
        champion=Target(**raw["champion"]),
        candidate=None if candidate is None else Target(**candidate),
        weight=raw["weight"],
        mirror=raw["mirror"],
        salt=raw["salt"],
        token=raw.get("token", 0),
        expires_at=raw.get("expires_at", expires_at),
    )


def shown(route: Route) -> dict[str, Any]:
    """What of a route the data plane carries. Token and lease are not traffic: a renewal does not touch the gateway."""
    candidate = route.candidate
    return {
        "model": route.model,
        "champion": vars(route.champion),
        "candidate": None if candidate is None else vars(candidate),
        "weight": route.weight,
        "mirror": route.mirror,
        "salt": route.salt,
    }
