"""What a world did, as the points that a peer would query: one value a look."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from judge.ledger import CUT
from judge.world import Array, Asked, Flags, World

WINDOW = 5
"""Looks of the trailing percentile."""


@dataclass(frozen=True)
class Points:
    """Rows of the (2, looks) arrays: the canary and its baseline of equal size; NaN where nobody asked."""

    requests: Array
    errors: Array
    """Share of the requests."""
    p95_ms: Array
    p99_ms: Array
    score: Array
    decisions: Array
    recent_p95_ms: Array
    """(looks,) of the canary's last WINDOW looks together."""
    answered: Flags
    """(looks,) whether the metric source answered at all."""


def points(asked: Asked, world: World, weight: float) -> Points:
    """The canary's users, and as many of the champion's: those farthest from the canary's on the circle of assignments."""
    position = world.position[asked.user]
    canary, baseline = asked.mine, ~asked.mine & (position >= 1 - weight)
    rows = [_arm(asked, 1, canary), _arm(asked, 0, baseline)]
    recent = _recent(asked, canary)
    return Points(*(np.stack(pair) for pair in zip(*rows, strict=True)), recent, np.ones(asked.looks, dtype=bool))


def _arm(asked: Asked, version: int, chosen: Flags) -> tuple[Array, ...]:
    look, score, failed = asked.look[chosen], asked.score[version, chosen], asked.failed[version, chosen]
    count = np.bincount(look, minlength=asked.looks).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors, mean, positive = (np.bincount(look, column, asked.looks) / count for column in (failed, score, score >= CUT))
    ends = np.searchsorted(look, np.arange(asked.looks + 1))
    latency = asked.latency[version, chosen]
    tails = np.array([_tails(latency[a:b]) for a, b in pairwise(ends)]).T
    return count, errors, tails[0], tails[1], mean, positive


def _recent(asked: Asked, chosen: Flags) -> Array:
    look, latency = asked.look[chosen], asked.latency[1, chosen]
    ends = np.searchsorted(look, np.arange(asked.looks + 1))
    return np.array([_tails(latency[ends[max(0, t + 1 - WINDOW)] : ends[t + 1]])[0] for t in range(asked.looks)])


def _tails(latency: Array) -> tuple[float, float]:
    """95th and 99th percentile; NaN where there are no values."""
    last = len(latency) - 1
    if last < 0:
        return np.nan, np.nan
    ordered = np.sort(latency)
    return float(ordered[int(0.95 * last)]), float(ordered[int(0.99 * last)])


def dark(seen: Points, since: int) -> Points:
    """The metric source does not answer from this look on."""
    return replace(_without(seen, since), answered=seen.answered & (np.arange(len(seen.answered)) < since))


def without(seen: Points, since: int) -> Points:
    """The metric source answers, but every value is not a number from this look on."""
    return _without(seen, since)


def without_latency(seen: Points) -> Points:
    """Nobody measures latency."""
    nothing = np.full_like(seen.p95_ms, np.nan)
    return replace(seen, p95_ms=nothing, p99_ms=nothing, recent_p95_ms=nothing[0])


def _without(seen: Points, since: int) -> Points:
    gone = np.arange(len(seen.answered)) >= since
    values = {name: np.where(gone, np.nan, getattr(seen, name)) for name in ("errors", "p95_ms", "p99_ms", "score", "decisions")}
    return replace(seen, recent_p95_ms=np.where(gone, np.nan, seen.recent_p95_ms), **values)
