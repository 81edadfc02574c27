"""Gate `segments`: harm that is confined to a few requests (one carrier, one country) and averaged away in the whole.

Errors: the bet on which arm they fell on, exact at small counts. Slow requests: the bet on a share. Decisions: the difference of
the arms against what the holdout predicts for the segment. Each segment has its own part of the gate's budget (`log_shares`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log

import numpy as np

from sluicegate.domain.evidence import SEGMENT_BUCKETS, ArmCounters, Segment
from sluicegate.gates import contrast, events, looks
from sluicegate.gates.budget import SLOW_SHARE
from sluicegate.gates.contrast import Contrast
from sluicegate.gates.events import LIFTS, RATIO_PRIOR, RATIOS, Process
from sluicegate.gates.looks import DECISIONS, ERRORS, REQUESTS, SLOW, Array, Source
from sluicegate.gates.records import changed

ROWS = 6
"""Rows of an arm's array that a segment has; scores stay zero, they are not counted by segment."""
COUNTS = (REQUESTS, ERRORS, DECISIONS, SLOW)
LEAST_BLOCK = (30, 5)
"""Requests of champion and candidate in a block of looks in which a segment's arms are compared."""
ONLY_DECISIONS = slice(contrast.DECISION, None)
"""What the contrast of a segment holds."""
KNOWN_PART = 0.75
"""Part of the budget that goes, equally, to the segments that were known when the stage began; newcomers share the rest."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Evidence by segment since the stage began; the first axis of every array follows `names`."""

    names: tuple[str, ...] = ()
    known: int = 0
    """How many of them were known when the stage began."""
    source: Source = field(default_factory=Source)
    total: Array = field(default_factory=lambda: np.zeros((0, 2, ROWS + 1, SEGMENT_BUCKETS)))
    block: Array = field(default_factory=lambda: np.zeros((0, 2, ROWS + 1, SEGMENT_BUCKETS)))
    errors: Process = field(default_factory=lambda: events.new_process(len(RATIOS), RATIO_PRIOR, (0,)))
    slow: Process = field(default_factory=lambda: events.new_process(len(LIFTS), None, (0,)))
    contrast: Contrast = field(default_factory=lambda: _contrast(0))


def _contrast(number: int) -> Contrast:
    return Contrast(np.zeros(number), np.zeros((number, 1)), np.zeros((number, 1)), np.zeros((number, 1, SEGMENT_BUCKETS)))


def log_shares(segments: Segments) -> Array:
    """Logarithm of each segment's part of the budget; all parts, of those to come too, add up to at most one.

    Parts depend on which segments were known before the stage's first look, and on the order in which others appeared: on nothing
    that the test itself sees.
    """
    known, late = segments.known, range(len(segments.names) - segments.known)
    rest = 1 - KNOWN_PART if known else 1.0
    parts = [log(KNOWN_PART / known) for _ in range(known)] + [log(rest / ((k + 1) * (k + 2))) for k in late]
    return np.array(parts)


def fold(segments: Segments, champion: ArmCounters | None, candidate: ArmCounters | None, bound_ms: float | None) -> Segments:
    """One more reading of both arms."""
    if champion is None or candidate is None:
        return changed(segments, source=looks.step(segments.source, (), None, COUNTS)[0])
    first = segments.source.last is None
    segments = _named(segments, champion.segments.keys() | candidate.segments.keys())
    now = _array(segments.names, (champion.segments, candidate.segments), bound_ms)
    source, look = looks.step(segments.source, (champion.started_at, candidate.started_at), now, COUNTS)
    segments = changed(segments, source=source, known=len(segments.names) if first else segments.known)
    return segments if look is None or not look[..., REQUESTS, :].any() else _count(segments, look)


def _named(segments: Segments, seen: set[str]) -> Segments:
    """Room for segments that were never seen before, in the order of their names: it must not depend on a set's order."""
    fresh = tuple(sorted(seen.difference(segments.names)))
    if not fresh:
        return segments
    source = segments.source
    grown = _contrast(len(fresh))
    return changed(
        segments,
        names=segments.names + fresh,
        source=source if source.last is None else changed(source, last=_padded(source.last, len(fresh))),
        total=_padded(segments.total, len(fresh)),
        block=_padded(segments.block, len(fresh)),
        errors=_joined(segments.errors, len(fresh)),
        slow=_joined(segments.slow, len(fresh)),
        contrast=Contrast(
            np.concatenate((segments.contrast.weight, grown.weight)),
            np.concatenate((segments.contrast.sums, grown.sums)),
            np.concatenate((segments.contrast.noise, grown.noise)),
            np.concatenate((segments.contrast.influence, grown.influence)),
        ),
    )


def _padded(array: Array, more: int) -> Array:
    return np.concatenate((array, np.zeros((more, *array.shape[1:]))))


def _joined(process: Process, more: int) -> Process:
    """Newcomers bet from now on with the money that had not been spent by now."""
    begun = np.concatenate((process.begun, np.full((more, process.begun.shape[1]), -np.inf)))
    unspent = np.full(more, log(0.5 / process.looks) if process.looks else 0.0)
    value = np.concatenate((np.atleast_1d(process.log_value), unspent)) if process.looks else np.zeros(len(begun))
    peak = np.concatenate((np.atleast_1d(process.log_peak), np.zeros(more))) if process.looks else np.zeros(len(begun))
    return changed(process, begun=begun, log_value=value, log_peak=peak)


def _array(names: tuple[str, ...], arms: tuple[Mapping[str, Segment], ...], bound_ms: float | None) -> Array:
    """Array (segments, arms, ROWS + 1, SEGMENT_BUCKETS); what an arm does not have yet is zero."""
    counted = np.array([_counted(arm.get(name), bound_ms) for name in names for arm in arms], dtype=np.float64)
    table = np.zeros((len(names), len(arms), ROWS + 1, SEGMENT_BUCKETS))
    table[:, :, COUNTS] = counted.reshape(len(names), len(arms), len(COUNTS), SEGMENT_BUCKETS)
    return table


def _counted(segment: Segment | None, bound_ms: float | None) -> tuple[tuple[int, ...], ...]:
    """Rows COUNTS of one segment of one arm."""
    nothing = (0,) * SEGMENT_BUCKETS
    if segment is None:
        return (nothing,) * len(COUNTS)
    key = looks.slow_key(segment, bound_ms)
    return segment.requests, segment.errors, segment.decisions, nothing if key is None else segment.slow[key]


def _count(segments: Segments, look: Array) -> Segments:
    total, block = segments.total + look, segments.block + look
    sums = np.add.reduce(look, axis=-1)
    asked = sums[..., REQUESTS]
    exposure = asked[:, 1] / np.maximum(asked[:, 0] + asked[:, 1], 1.0)
    spread = events.overdispersion(total[:, 1, ERRORS], total[:, 1, REQUESTS])
    bet = events.arm_evidence(sums[:, 0, ERRORS], sums[:, 1, ERRORS], exposure, spread)
    segments = changed(segments, total=total, block=block, errors=events.grow(segments.errors, bet))
    filled = np.add.reduce(block[..., REQUESTS, :], axis=-1)
    full = (filled[:, 0] >= LEAST_BLOCK[0]) & (filled[:, 1] >= LEAST_BLOCK[1])
    return _compare(segments, full) if full.any() else segments


def _compare(segments: Segments, full: Array) -> Segments:
    """Fold the full blocks of the segments that have one."""
    block = np.where(full[:, None, None, None], segments.block, 0.0)
    sums = np.add.reduce(block, axis=-1)
    asked, slow = sums[..., REQUESTS], sums[..., SLOW]
    limit = np.maximum(SLOW_SHARE, _cautious(slow[:, 0], asked[:, 0]))
    spread = events.overdispersion(segments.total[:, 1, SLOW], segments.total[:, 1, REQUESTS])
    return changed(
        segments,
        block=segments.block - block,
        slow=events.grow(segments.slow, events.share_evidence(slow[:, 1], asked[:, 1], limit, spread)),
        contrast=contrast.fold(segments.contrast, block, ONLY_DECISIONS),
    )


def _cautious(slow: Array, requests: Array) -> Array:
    """`latency.cautious_share` of each segment."""
    return np.minimum(1.0, (slow + 1.0 + np.sqrt(slow + 0.25)) / (requests + 1.0))
