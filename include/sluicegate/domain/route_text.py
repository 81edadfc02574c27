"""A route as it is kept, JSON with the newest fencing token that wrote it, and as a proxy shows it."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sluicegate.domain.route import Route, Target
from sluicegate.errors import InputError, RefusedError, UnavailableError

SHOWN = "x-sluicegate-route"
"""Header of the answer at /models/<model>/route: the route that the proxy follows, as the proxy itself has it."""
EXPIRED_LONG_AGO = 0.0
"""Lease of a weight that the data plane has and nobody asked for."""
PLAIN = re.compile(r"[a-z][a-z0-9_]{0,47}")
"""Names that may become a file name and a path of a URL."""


@dataclass(frozen=True)
class Stored:
    """The newest write: its token and the route, or None after a removal (the token outlives the route)."""

    token: int = -1
    route: Route | None = None


def plain(model: str) -> str:
    """The name of the model; InputError for one that could lead elsewhere."""
    if not PLAIN.fullmatch(model):
        raise InputError(f"'{model}' is no name of a model: write a lower-case letter, then letters, digits or underscores")
    return model


def leased(followed: Route, stored: Stored) -> Route:
    """The route that a gateway follows, with the token and the lease of the newest write, which a gateway does not carry."""
    lease, reached = (None, 0) if stored.route is None else (stored.route.expires_at, stored.route.reached)
    held = (EXPIRED_LONG_AGO if lease is None else lease) if followed.weight else None
    return replace(followed, token=max(stored.token, 0), expires_at=held, reached=reached)


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
        reached=raw.get("reached", 0),
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


def seen_as(route: Route) -> str:
    """The value of the header SHOWN."""
    return base64.urlsafe_b64encode(json.dumps(shown(route), sort_keys=True, separators=(",", ":")).encode()).decode()


def seen(value: str) -> Route:
    """Its inverse, without token and lease."""
    try:
        return route_of(json.loads(base64.urlsafe_b64decode(value)), EXPIRED_LONG_AGO)
    except (binascii.Error, ValueError, LookupError, TypeError, RefusedError) as problem:
        raise UnavailableError(
            f"the gateway shows '{value[:80]}' as its route, which is none ({problem}): look who writes it"
        ) from problem
