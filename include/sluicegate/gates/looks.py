"""From readings to looks: what a growing counter added between two readings, or why that is not known.

A source that is absent, not a number or was reset adds nothing, and says so; it goes on at the next good reading.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from sluicegate.domain.evidence import ArmCounters, GatewayCounters, LabelCounters, PairCounters, Reading, Segment

Array = NDArray[np.float64]

REQUESTS, ERRORS, DECISIONS, SCORE, SCORE_SQUARE, SLOW, HISTOGRAM, VALUE, VALUE_SQUARE, BUSY, CPU = range(11)
"""Rows of an arm's array; the score histogram of all buckets stands in the first columns of its row, padded with zeros."""
ARM_ROWS = 11
PAIRS, DIFF, DIFF_SQUARE, CANDIDATE, CANDIDATE_SQUARE, ON, OFF = range(7)
"""Rows of the pairs' array; the two histograms follow as two more rows, padded with zeros."""
CHAMPION_HISTOGRAM, CANDIDATE_HISTOGRAM = 7, 8
ARM_COUNTS = (REQUESTS, ERRORS, DECISIONS, SLOW, HISTOGRAM)
PAIR_COUNTS = (PAIRS, ON, OFF, CHAMPION_HISTOGRAM, CANDIDATE_HISTOGRAM)
GATEWAY_COUNTS = (0, 1)
CHAMPION_KNOWN, CANDIDATE_KNOWN, PAIRS_KNOWN = 0, 3, 6
"""Rows of the labels' array that count known outcomes; each is followed by the sum of losses and of their squares."""
LABEL_COUNTS = (CHAMPION_KNOWN, CANDIDATE_KNOWN, PAIRS_KNOWN)

SOURCE_MISSING = "source_missing"
COUNTER_RESET = "counter_reset"
NOT_A_NUMBER = "not_a_number"
PROBLEMS = (SOURCE_MISSING, COUNTER_RESET, NOT_A_NUMBER)
"""Why a look is not known."""


@dataclass(frozen=True, eq=False)
class Source:
    """One growing counter: where it stood when it was last read, and what is wrong with it now."""

    started_at: tuple[float, ...] = ()
    last: Array | None = None
    problem: str = SOURCE_MISSING
    """Reason why the newest reading gave no look; empty when it did."""


def step(
    source: Source, started_at: tuple[float, ...], now: Array | None, counts: tuple[int, ...]
) -> tuple[Source, Array | None]:
    """Fold one more reading of a source: the new state and what the counter added, or None when that is not known.

    Parameters
    ----------
    source : where the counter stood.
    started_at : start of each process behind the counter, epoch seconds; a later one means that it was reset.
    now : the counter now; None when it could not be read.
    counts : rows (second axis from the end) that may only grow; sums of scores may shrink.
    """
    if now is None:
        return Source(source.started_at, source.last, SOURCE_MISSING), None
    if not _all_finite(now):
        return Source(source.started_at, source.last, NOT_A_NUMBER), None
    if source.last is None:
        return Source(started_at, now, ""), None
    added = now - source.last
    if any(new > old for new, old in zip(started_at, source.started_at, strict=True)) or _fell(added, counts):
        return Source(started_at, now, COUNTER_RESET), None
    return Source(started_at, now, ""), added


def _all_finite(values: Array) -> bool:
    """One sum tells, unless it overflows."""
    return isfinite(np.add.reduce(values, axis=None)) or bool(np.isfinite(values).all())


def _fell(added: Array, counts: tuple[int, ...]) -> bool:
    """Whether one of these rows became less."""
    return bool(added.size) and bool(np.minimum.reduce(added, axis=None) < 0) and bool((added[..., counts, :] < 0).any())


def slow_key(arm: ArmCounters | Segment, bound_ms: float | None) -> str | None:
    """The key under which an arm, or a segment of it, counts requests slower than `bound_ms`, or None."""
    if bound_ms is None:
        return None
    return next((key for key in arm.slow if _number(key) == bound_ms), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def arm_array(arm: ArmCounters, bound_ms: float | None) -> Array:
    """Array (ARM_ROWS, buckets) of one arm; what is not counted is zero (see `slow_key`, `uncounted`)."""
    key = slow_key(arm, bound_ms)
    table = np.zeros((ARM_ROWS, len(arm.requests)))
    table[:SLOW] = (arm.requests, arm.errors, arm.decisions, arm.score_sum, arm.score_square_sum)
    table[HISTOGRAM, : len(arm.score_histogram)] = arm.score_histogram
    for row, counted in ((SLOW, () if key is None else arm.slow[key]), *_optional(arm)):
        if len(counted):
            table[row] = counted
    return table


def _optional(arm: ArmCounters) -> tuple[tuple[int, tuple[float, ...]], ...]:
    return (VALUE, arm.value_sum), (VALUE_SQUARE, arm.value_square_sum), (BUSY, arm.busy_sum), (CPU, arm.cpu_sum)


def uncounted(arm: ArmCounters | None) -> tuple[int, ...]:
    """Rows that this server does not count; none when it could not be read."""
    return () if arm is None else tuple(row for row, counted in _optional(arm) if not len(counted))


def arms_array(reading: Reading, kind: str, bound_ms: float | None) -> tuple[tuple[float, ...], Array | None]:
    """Start times and array (2, ARM_ROWS, buckets), champion first; None unless both arms were read."""
    candidate = candidate_arm(reading, kind)
    if reading.champion is None or candidate is None:
        return (), None
    started = (reading.champion.started_at, candidate.started_at)
    return started, np.stack([arm_array(reading.champion, bound_ms), arm_array(candidate, bound_ms)])


def candidate_arm(reading: Reading, kind: str) -> ArmCounters | None:
    """The candidate's arm; at a mirror stage what it said to mirrored requests."""
    return reading.mirror if kind == "mirror" and reading.mirror is not None else reading.candidate


def pairs_array(pairs: PairCounters | None) -> tuple[tuple[float, ...], Array | None]:
    """Start time and array (9, buckets); the two histograms stand in the first columns of the last two rows."""
    if pairs is None:
        return (), None
    rows = (
        pairs.pairs,
        pairs.difference_sum,
        pairs.difference_square_sum,
        pairs.candidate_score_sum,
        pairs.candidate_score_square_sum,
        pairs.flips_on,
        pairs.flips_off,
    )
    table = np.zeros((9, len(pairs.pairs)))
    table[:7] = rows
    table[CHAMPION_HISTOGRAM, : len(pairs.champion_histogram)] = pairs.champion_histogram
    table[CANDIDATE_HISTOGRAM, : len(pairs.candidate_histogram)] = pairs.candidate_histogram
    return (pairs.started_at,), table


def gateway_array(gateway: GatewayCounters | None) -> tuple[tuple[float, ...], Array | None]:
    """Start time and array (2 arms, 2): requests and errors, champion first."""
    if gateway is None:
        return (), None
    rows = (
        (gateway.champion_requests, gateway.champion_errors),
        (gateway.candidate_requests, gateway.candidate_errors),
    )
    return (gateway.started_at,), np.array(rows, dtype=np.float64)


def labels_array(labels: LabelCounters | None) -> tuple[tuple[float, ...], Array | None]:
    """Start time and array (9, buckets)."""
    if labels is None:
        return (), None
    rows = (
        *(labels.champion, labels.champion_loss_sum, labels.champion_loss_square_sum),
        *(labels.candidate, labels.candidate_loss_sum, labels.candidate_loss_square_sum),
        *(labels.pairs, labels.difference_sum, labels.difference_square_sum),
    )
    return (labels.started_at,), np.array(rows, dtype=np.float64)
