"""Where a model's traffic goes, and which user belongs to whom.

Assignment is nested: user u gets the candidate when xxh64(salt + ":" + u) mod 10000 < weight * 100. When the weight grows nobody
leaves the candidate; a new rollout has a new salt and so reshuffles who goes first. The gateway computes the same number.
"""

import re
from dataclasses import dataclass, field, replace

import xxhash

from sluicegate.errors import RefusedError, StaleTokenError

PARTS = 10_000
"""Resolution of the assignment: a weight of 1 % is 100 parts."""

BUCKETS = 200
"""Number of user-hash buckets in the evidence; independent of the assignment, so that every arm fills all of them."""

ANSWERS = "x-sluicegate-version"
"""Header of a request: the version whose answer the user gets. Whoever else gets the request has a copy. Not every gateway marks
copies: Envoy Gateway does not since 1.6."""
VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
"""Of a version's name, where it becomes part of an address, a label or a header."""


@dataclass(frozen=True)
class Target:
    """A model server of one version: where it listens."""

    version: str
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Route:
    """What the gateway does with one model's requests. Written whole, replaced atomically.

    `weight` and `mirror` are integer percents; either above zero needs a candidate. A weight above zero needs `expires_at` (the
    lease, seconds since the epoch): past it the gateway side goes back to 100 % champion by itself. Mirroring exposes nobody and
    needs none.
    `token` is the fencing token of the writer. `reached` is what a cut remembers, the highest weight that this rollout had: no traffic,
    so routes that differ in it alone are equal.
    """

    model: str
    champion: Target
    candidate: Target | None = None
    weight: int = 0
    mirror: int = 0
    salt: str = ""
    token: int = 0
    expires_at: float | None = None
    reached: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        for name, value in (("weight", self.weight), ("mirror", self.mirror)):
            if not 0 <= value <= 100:
                raise RefusedError(f"the {name} {value} of model '{self.model}' is not between 0 and 100 percent")
        if (self.weight or self.mirror) and self.candidate is None:
            raise RefusedError(f"model '{self.model}' has no candidate to give weight {self.weight} or mirror {self.mirror} to")
        if self.weight and self.expires_at is None:
            raise RefusedError(f"a weight of {self.weight} for model '{self.model}' needs a lease (expires_at)")

    def cut(self) -> "Route":
        """The same route with 100 % champion and no mirror: where every doubt ends."""
        return replace(self, weight=0, mirror=0, expires_at=None, reached=max(self.reached, self.weight))

    def lease_over(self, now: float) -> bool:
        """Whether the candidate has users and nobody holds the lease at `now` (seconds since the epoch)."""
        return self.weight > 0 and (self.expires_at is None or self.expires_at <= now)


def fence(model: str, newest: int, token: int) -> None:
    """Let a writer pass whose token is as new as the newest one that wrote; StaleTokenError otherwise."""
    if token < newest:
        raise StaleTokenError(
            f"token {token} for model '{model}' is older than {newest}: a newer holder writes its route, so stop this rollout"
        )


def refuse_late(route: Route, now: float) -> None:
    """A weight whose lease is over before it is written: RefusedError."""
    if route.lease_over(now):
        raise RefusedError(f"the lease of weight {route.weight} for model '{route.model}' is over already: ask for a new one")


def renewable(model: str, present: Route | None, expires_at: float, now: float) -> Route:
    """The present route, if its lease may end at `expires_at`.

    RefusedError when there is no weight to hold, and for a lease that ends before it is written: by somebody who was held up, it would
    only take away what others hold.
    """
    if expires_at <= now:
        raise RefusedError(f"the lease for model '{model}' is over already: whoever asked for it was held up, ask for a new one")
    if present is None or present.weight == 0:
        raise RefusedError(f"model '{model}' has no candidate weight to hold: it was cut or never given; do not renew")
    return present


def next_route(present: Route | None, route: Route) -> Route:
    """The route as it is to be kept, when it may come after the present one, for whoever comes late with the same token.

    Within a rollout weight only grows or is cut, and a cut does not make it begin again; what was promoted stays so.

    Raises
    ------
    RefusedError
        A stage that is entered after the next one.
    StaleTokenError
        A cut that comes after the promotion; a newer token may still take it back.
    """
    if present is None or not route.salt:
        return route
    promoted = not present.salt and present.champion.version != route.champion.version
    if promoted and route.token <= present.token:
        raise StaleTokenError(
            f"version {present.champion.version} of model '{route.model}' was promoted meanwhile: nothing is cut"
        )
    if present.salt != route.salt:
        return route
    reached = max(present.reached, present.weight)
    if (route.weight or route.mirror) and route.weight < reached:
        raise RefusedError(
            f"weight {route.weight} for model '{route.model}' would come after {reached} of the same rollout: "
            "a weight only grows or is cut, so somebody else is a stage further"
        )
    return replace(route, reached=max(reached, route.weight))


def in_header(version: str) -> str:
    """The version as the header ANSWERS has it; RefusedError for one that a proxy could take for something else."""
    if not VERSION.fullmatch(version):
        raise RefusedError(
            f"version '{version[:80]}' cannot be named in a header: letters, digits, '.', '_' and '-', at most 63, no mark first or last"
        )
    return version


def position(salt: str, user: str) -> int:
    """Place of a user on the ring, 0 <= position < PARTS; the same number that the gateway computes."""
    return xxhash.xxh64_intdigest(f"{salt}:{user}".encode()) % PARTS


def is_candidate(salt: str, user: str, weight: int) -> bool:
    """Whether this user is served by the candidate at this weight (percent)."""
    return position(salt, user) < weight * (PARTS // 100)


def bucket(user: str) -> int:
    """Evidence bucket of a user, 0 <= bucket < BUCKETS: the unit over which variances are taken."""
    return xxhash.xxh64_intdigest(f"bucket:{user}".encode()) % BUCKETS
