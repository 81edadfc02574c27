"""A case: everything that the readings of one stage have shown so far. Adding a reading is pure and costs under a millisecond.

A case is never stored: the journaled readings, folded again in their order, give the same case bit for bit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sluicegate.domain.evidence import Predicted, Reading
from sluicegate.domain.spec import Release, StageSpec
from sluicegate.gates import (
    blocks,
    budget,
    contrast,
    failures,
    labels,
    latency,
    looks,
    matched,
    memory,
    moments,
    paired,
    segments,
    shock,
)
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.contrast import Contrast
from sluicegate.gates.failures import Failures
from sluicegate.gates.forecast import Forecast, forecast
from sluicegate.gates.labels import Labels
from sluicegate.gates.latency import Latency
from sluicegate.gates.looks import BUSY, CPU, ERRORS, REQUESTS, SLOW, VALUE, Array, Source
from sluicegate.gates.matched import Matched
from sluicegate.gates.memory import Memory
from sluicegate.gates.moments import Moments
from sluicegate.gates.paired import Paired
from sluicegate.gates.records import changed
from sluicegate.gates.segments import Segments
from sluicegate.gates.shock import Limits

LEAST_BLOCK = (30, 5)
"""Requests of champion and candidate that a block of looks must hold before the arms are compared in it."""
CALM_LOOKS = 3
"""A rollout stays frozen until so many looks in a row are free of a common shock."""
MATCHED_ROWS = {"throughput": BUSY, "cpu_ms": CPU, "value": VALUE}
"""Gates that compare means of both arms, and the row of the arms' arrays that they are about."""


def _zeros(*shape: int) -> Array:
    return np.zeros(shape)


def _no_moments() -> tuple[Moments, ...]:
    return moments.of(_zeros(2, looks.ARM_ROWS, 1))


@dataclass(frozen=True, eq=False)
class Case:
    """The evidence of one stage. Open it with `open_case`, never by hand."""

    release: Release
    stage: StageSpec
    predicted: Predicted
    score_range: tuple[float, float]
    opened_at: float
    taken_at: float
    """Of the newest reading, seconds since the epoch."""
    baked_from: float
    """Start of the bake: the stage's start, or the candidate's last restart."""
    limits: Limits
    reference_errors: float | None
    """The champion's error rate before the stage; None unless the stage leaves it no traffic."""
    gates: Mapping[str, float]
    """The gates that this stage judges, each with its part of the error budget."""
    forecast: Forecast
    means: Matched
    """Value, busy and CPU seconds of both arms: the gates of MATCHED_ROWS that this stage judges, in their order."""
    missing: tuple[str, ...] = ()
    bound_counted: bool = True
    """Whether the candidate's server counts the latency bound of the spec."""
    uncounted: frozenset[int] = frozenset()
    """Rows of the arms' arrays that one of the servers does not count."""
    readings: int = 0
    calm: int = CALM_LOOKS
    """Looks since the last common shock."""
    arms_source: Source = field(default_factory=Source)
    pairs_source: Source = field(default_factory=Source)
    gateway_source: Source = field(default_factory=Source)
    arms: Array = field(default_factory=lambda: _zeros(2, looks.ARM_ROWS, 1))
    """What both arms added since the stage began, champion first."""
    moments: tuple[Moments, ...] = field(default_factory=_no_moments)
    """Of `arms`."""
    block: Array = field(default_factory=lambda: _zeros(2, looks.ARM_ROWS, 1))
    """The part of it that is not yet compared."""
    block_shocked: bool = False
    paired: Paired = field(default_factory=Paired)
    arms_in_time: Blocks = field(default_factory=Blocks)
    """Weight, weighted differences of score and decision."""
    routed: Array = field(default_factory=lambda: _zeros(2))
    """Requests of champion and candidate at the gateway, without looks longer than the lease: there the weight was gone."""
    latency: Latency = field(default_factory=Latency)
    failures: Failures = field(default_factory=Failures)
    contrast: Contrast = field(default_factory=Contrast)
    memory: Memory = field(default_factory=Memory)
    labels: Labels = field(default_factory=Labels)
    segments: Segments = field(default_factory=Segments)

    @property
    def alone(self) -> bool:
        """Whether the champion answers nobody at this stage."""
        return self.stage.weight == 100

    @property
    def frozen(self) -> bool:
        """Whether both versions suffer together now, or did a moment ago."""
        return self.calm < CALM_LOOKS

    @property
    def pairs(self) -> Array:
        """What the pairs added since the stage began, (9, buckets)."""
        return self.paired.total


def open_case(
    release: Release, stage: StageSpec, predicted: Predicted, baseline: Reading, score_range: tuple[float, float]
) -> Case:
    """A case without evidence. `baseline` is the reading at the stage's entry: only what comes after it counts."""
    record = None if baseline.champion is None else looks.arm_array(baseline.champion, release.gates.p95_ms).sum(axis=1)
    gates = {name: budget.fail_alpha(release, stage, name) for name in budget.gates_of(release, stage)}
    case = Case(
        release=release,
        stage=stage,
        predicted=predicted,
        score_range=score_range,
        opened_at=baseline.taken_at,
        taken_at=baseline.taken_at,
        baked_from=baseline.taken_at,
        limits=shock.limits(record),
        reference_errors=_reference(baseline, record) if stage.weight == 100 else None,
        gates=gates,
        forecast=forecast(predicted),
        means=matched.nothing(tuple(name != "value" for name in MATCHED_ROWS if name in gates)),
    )
    return changed(_fold(case, baseline), readings=0, memory=Memory())


def _matched_rows(gates: Iterable[str]) -> list[int]:
    return [row for name, row in MATCHED_ROWS.items() if name in gates]


def _reference(baseline: Reading, record: Array | None) -> float:
    """The champion's error rate over all that it answered before; zero, the strictest, when it is not known."""
    rates = [0.0]
    if record is not None and record[REQUESTS] > 0:
        rates.append(float(record[ERRORS] / record[REQUESTS]))
    if baseline.gateway is not None and baseline.gateway.champion_requests > 0:
        rates.append(baseline.gateway.champion_errors / baseline.gateway.champion_requests)
    return max(rates)


def add(case: Case, reading: Reading) -> Case:
    """The case with one more reading. A reading older than the newest one is ignored: counters only grow."""
    return case if reading.taken_at < case.taken_at else _fold(case, reading)


def _fold(case: Case, reading: Reading) -> Case:
    kind, bound = case.stage.kind, case.release.gates.p95_ms
    arms_source, arms = looks.step(case.arms_source, *looks.arms_array(reading, kind, bound), looks.ARM_COUNTS)
    pairs_source, pairs = looks.step(case.pairs_source, *looks.pairs_array(reading.pairs), looks.PAIR_COUNTS)
    gateway_source, gateway = looks.step(case.gateway_source, *looks.gateway_array(reading.gateway), looks.GATEWAY_COUNTS)
    watched = reading.taken_at - case.taken_at <= case.release.lease
    restarted = looks.COUNTER_RESET in (arms_source.problem, pairs_source.problem)
    candidate = looks.candidate_arm(reading, kind)
    uncounted = {row for arm in (reading.champion, candidate) for row in looks.uncounted(arm)}
    case = changed(
        _fold_others(case, reading),
        taken_at=reading.taken_at,
        baked_from=reading.taken_at if restarted else case.baked_from,
        missing=reading.missing,
        readings=case.readings + 1,
        bound_counted=reading.candidate is None or bound is None or looks.slow_key(reading.candidate, bound) is not None,
        uncounted=frozenset(uncounted),
        arms_source=arms_source,
        pairs_source=pairs_source,
        gateway_source=gateway_source,
        paired=case.paired if pairs is None else paired.fold(case.paired, pairs),
        routed=case.routed + gateway[:, 0] if watched and gateway is not None else case.routed,
    )
    return _fold_arms(case, arms, gateway)


def _fold_others(case: Case, reading: Reading) -> Case:
    """What only some plans judge: memory, labels, segments."""
    gates, arms = case.release.gates, (reading.champion, looks.candidate_arm(reading, case.stage.kind))
    if "memory_mb" in case.gates:
        processes = (reading.champion, reading.candidate or reading.mirror)
        case = changed(case, memory=memory.fold(case.memory, *processes, gates.memory_mb or 0.0))
    if "labels" in case.gates:
        case = changed(case, labels=labels.fold(case.labels, reading.labels))
    if "segments" in case.gates:
        case = changed(case, segments=segments.fold(case.segments, *arms, gates.p95_ms))
    return case


def _fold_arms(case: Case, arms: Array | None, gateway: Array | None) -> Case:
    """Count errors at every look; compare the arms when a block is full."""
    if arms is None and gateway is None:
        return case
    servers = None if arms is None else arms.sum(axis=2)
    hit, common = _shocks(case, servers, gateway)
    total = case.arms if arms is None else case.arms + arms
    found = case.moments if arms is None else moments.of(total)
    seen = failures.fold(
        case.failures,
        servers,
        gateway,
        max(arm.overdispersion(ERRORS) for arm in found),
        limit=_error_limit(case),
        alone=case.alone,
        shocked=hit,
    )
    case = changed(case, arms=total, moments=found, failures=seen, calm=0 if common else case.calm + 1)
    return case if arms is None else _fold_block(case, case.block + arms, case.block_shocked or hit)


def _shocks(case: Case, servers: Array | None, gateway: Array | None) -> tuple[bool, bool]:
    """Whether the champion suffers in this look, and whether both do."""
    look = _zeros(2, looks.ARM_ROWS) if servers is None else servers.copy()
    if gateway is not None:
        look[:, : ERRORS + 1] = np.maximum(look[:, : ERRORS + 1], gateway)
    if case.alone or not shock.shocked(look[0], case.limits):
        return False, False
    return True, shock.suffers(look[1], case.limits)


def _error_limit(case: Case) -> float:
    gate = case.release.gates.error_rate
    return min(1.0, (case.reference_errors or 0.0) + (gate.margin if gate else 0.0))


def _fold_block(case: Case, block: Array, shocked: bool) -> Case:
    """Compare the arms inside a block of looks that is large enough, else let it grow."""
    look = block.sum(axis=2)
    champion, candidate = look[:, REQUESTS].tolist()
    if candidate < LEAST_BLOCK[1] or (champion < LEAST_BLOCK[0] and not case.alone):
        return changed(case, block=block, block_shocked=shocked)
    spread = case.moments[1].overdispersion(SLOW)
    rows = _matched_rows(case.gates)
    case = changed(
        case,
        latency=latency.fold(case.latency, look, spread, alone=case.alone, shocked=shocked),
        means=matched.fold(case.means, block[:, REQUESTS], block[:, rows].swapaxes(0, 1)) if rows else case.means,
        block=np.zeros_like(block),
        block_shocked=False,
    )
    return _fold_contrast(case, block) if _arms_speak(case) else case


def _arms_speak(case: Case) -> bool:
    """Whether scores and decisions are judged on the arms: pairs are stronger, and once there are any they are judged alone."""
    return case.stage.kind == "split" and not case.alone and case.paired.count == 0


def _fold_contrast(case: Case, block: Array) -> Case:
    compared = contrast.fold(case.contrast, block)
    look = np.append(compared.weight - case.contrast.weight, compared.sums - case.contrast.sums)
    return changed(case, arms_in_time=blocks.push(case.arms_in_time, look), contrast=compared)
