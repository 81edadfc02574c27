"""Users who ask and two versions that answer, request by request. Seeded; a look is the unit of time."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sluicegate.domain.route import BUCKETS

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SEGMENTS = ("AA", "B6", "DL", "EV", "UA")
"""Values of the field `carrier`; every user belongs to one."""
SEGMENT_SHARES = (0.40, 0.30, 0.15, 0.05, 0.10)
SMALL = SEGMENTS.index("EV")
"""The segment of 5 % of the users."""
DAY = 96
"""Looks in a day."""
LATENCY_MS, LATENCY_SPREAD = 72.0, 0.4
"""95th percentile and log-normal spread of a healthy answer."""
CPU_S, BUSY_SPREAD = 0.004, 0.3
STEEPNESS, CUT = 1.1, 1.2816
"""Scores are expit(STEEPNESS * (latent - CUT)) of a standard normal: exactly 10 % of them are 0.5 or more."""
OWN = 0.18
"""Standard deviation of what each version adds to the latent: both are equally far from the truth."""
KNOWN = 0.9
"""Share of answers whose outcome ever becomes known."""


@dataclass(frozen=True)
class Surroundings:
    """What makes requests move together. The default is independent requests of many users."""

    name: str = "independent requests"
    correlation: float = 0.0
    """Intra-user correlation of errors, latency, score, value and of what each version adds."""
    memory: float | None = None
    """AR(1) coefficient, a look, of a shock that both versions suffer: latency, errors and scores."""
    users: int = 20_000
    tail: float | None = None
    """Pareto exponent of the users' activity; None: gamma with shape 1.5. Counted in tenths of the mean, at least one."""
    diurnal: bool = False
    burst: bool = False
    """Five looks in forty in which 40 % of all requests are slow and 10 % fail, whoever answers."""
    requests: float = 300.0
    """Mean requests a look."""


INDEPENDENT = Surroundings()


@dataclass(frozen=True)
class Version:
    """What one version does."""

    errors: float = 0.005
    slower: float = 1.0
    """Every latency times this."""
    tail_slower: float = 1.0
    """The slowest 4 % of the latencies times this: a 99th percentile that rises while the 95th stays."""
    shift: float = 0.0
    """Added to the latent score."""
    flipped: float = 0.0
    """Share of requests, added to the positive decisions."""
    moved: float = 0.0
    """Share of scores thrown to the ends of the range, the mean unchanged."""
    small_errors: float | None = None
    """Error rate in the small segment; None: as elsewhere."""
    cost: float = 1.0
    """CPU time times this."""


HEALTHY = Version()


@dataclass(frozen=True)
class Asked:
    """The requests of some looks; arrays of equal length, sorted by look. Rows of the (2, n) arrays: champion, candidate."""

    looks: int
    look: Numbers
    user: Numbers
    mine: Flags
    """Whether the candidate answers."""
    score: Array
    failed: Flags
    """(2, n)"""
    latency: Array
    """(2, n), milliseconds."""
    amount: Array
    outcome: Array
    known: Flags


@dataclass
class World:
    """One stream of random numbers: the users, the weather, and how far time has gone."""

    surroundings: Surroundings
    seed: int
    champion: Version = HEALTHY
    candidate: Version = HEALTHY
    now: int = 0
    """Looks since the beginning."""
    _shock: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self._settle()

    def _settle(self) -> None:
        how, random = self.surroundings, self.random
        activity = random.gamma(1.5, size=how.users) if how.tail is None else random.pareto(how.tail, size=how.users) + 1.0
        self._asking = np.repeat(np.arange(how.users), np.maximum(1, np.round(10 * activity / activity.mean())).astype(np.int64))
        self.bucket = random.integers(BUCKETS, size=how.users)
        self.position = random.random(how.users)
        self.segment = np.searchsorted(np.cumsum(SEGMENT_SHARES)[:-1], random.random(how.users), side="right")
        self._traits = random.normal(size=(5, how.users)) if how.correlation else None
        strength = (1 - how.correlation) / how.correlation if how.correlation else 0.0
        rates = {version.errors for version in (self.champion, self.candidate)}
        self._luck = {rate: random.beta(rate * strength, (1 - rate) * strength, how.users) for rate in rates if strength}

    def ask(self, looks: int, weight: float) -> Asked:
        """The next looks at this weight (0..1)."""
        moment = self.now + np.arange(looks)
        load = 1 + 0.8 * np.sin(2 * np.pi * moment / DAY) if self.surroundings.diurnal else np.ones(looks)
        look = np.repeat(np.arange(looks), self.random.poisson(self.surroundings.requests * load))
        user = self._asking[self.random.integers(len(self._asking), size=len(look))]
        weather, burst = self._weather(looks, moment)
        latent = self._latent(0, user) + 0.2 * weather[look]
        score = np.stack([self._scores(v, latent, user, 1 + k) for k, v in enumerate((self.champion, self.candidate))])
        self.now += looks
        return Asked(
            looks=looks,
            look=look,
            user=user,
            mine=self.position[user] < weight,
            score=score,
            failed=self._failed(user, weather[look], burst[look]),
            latency=self._latency(user, weather[look], burst[look]),
            amount=np.exp(self._latent(4, user)),
            outcome=(self.random.random(len(look)) < expit(STEEPNESS * (latent - CUT))).astype(np.float64),
            known=self.random.random(len(look)) < KNOWN,
        )

    def _weather(self, looks: int, moment: Numbers) -> tuple[Array, Flags]:
        """The common shock of each look, standard deviation 1, and whether a burst is on."""
        burst = (moment % 40 < 5) & self.surroundings.burst
        weather = np.sin(2 * np.pi * moment / DAY) if self.surroundings.diurnal else np.zeros(looks)
        memory = self.surroundings.memory
        if memory is not None:
            for look, fresh in enumerate(self.random.normal(size=looks) * np.sqrt(1 - memory**2)):
                self._shock = memory * self._shock + fresh
                weather[look] += self._shock
        return weather, burst

    def _latent(self, trait: int, user: Numbers) -> Array:
        """Standard normal of each request, with the intra-user correlation."""
        own = self.random.normal(size=len(user))
        if self._traits is None:
            return own
        rho = self.surroundings.correlation
        return np.sqrt(rho) * self._traits[trait, user] + np.sqrt(1 - rho) * own

    def _scores(self, version: Version, latent: Array, user: Numbers, trait: int) -> Array:
        seen = latent + OWN * self._latent(trait, user)
        score = expit(STEEPNESS * (seen + version.shift - CUT * np.sqrt(1 + OWN**2)))
        if version.flipped:
            low = score < 0.5
            turned = low & (self.random.random(len(user)) < version.flipped / max(float(low.mean()), 1e-9))
            score = np.where(turned, 0.5 + 0.1 * self.random.random(len(user)), score)
        return self._thrown(score, version.moved) if version.moved else score

    def _thrown(self, score: Array, moved: float) -> Array:
        """A share of the scores at 0.95 or 0.01, in the proportion that leaves the mean where it was."""
        low, high = 0.01, 0.95
        up = moved * (float(score.mean()) - low) / (high - low)
        dice = self.random.random(len(score))
        return np.where(dice < up, high, np.where(dice < moved, low, score))

    def _failed(self, user: Numbers, weather: Array, burst: Flags) -> Flags:
        common = np.exp(0.5 * weather - 0.125) if self.surroundings.memory is not None else 1.0
        chance = np.empty((2, len(user)))
        for row, version in enumerate((self.champion, self.candidate)):
            chance[row] = self._luck[version.errors][user] if self._luck else version.errors
            if version.small_errors is not None:
                chance[row] = np.where(self.segment[user] == SMALL, version.small_errors, chance[row])
        return self.random.random((2, len(user))) < np.where(burst, 0.1, chance * common)

    def _latency(self, user: Numbers, weather: Array, burst: Flags) -> Array:
        latent = np.stack([self._latent(3, user) for _ in range(2)])
        normal = LATENCY_MS * np.exp(LATENCY_SPREAD * (latent - 1.645) + 0.09 * weather)
        slow = normal * np.where(burst & (self.random.random(len(user)) < 0.4), 4.0, 1.0)
        factor = np.array([[self.champion.slower], [self.candidate.slower]])
        tail = np.array([[self.champion.tail_slower], [self.candidate.tail_slower]])
        return np.where(latent > 1.75, slow * tail, slow) * factor
