"""A case: everything that the readings of one stage have shown so far. Adding a reading is pure and costs under a millisecond.

A case is never stored: the journaled readings, folded again in their order, give the same case bit for bit.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from sluicegate.domain.evidence import Predicted, Reading
from sluicegate.domain.spec import Release, StageSpec
from sluicegate.gates import blocks, contrast, failures, latency, looks, shock
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.contrast import Contrast
from sluicegate.gates.failures import Failures
from sluicegate.gates.latency import Latency
from sluicegate.gates.looks import DIFF, ERRORS, OFF, ON, PAIRS, REQUESTS, Array, Source
from sluicegate.gates.shock import Limits

LEAST_BLOCK = (30, 5)
"""Requests of champion and candidate that a block of looks must hold before the arms are compared in it."""
CALM_LOOKS = 3
"""A rollout stays frozen until so many looks in a row are free of a common shock."""


def _zeros(*shape: int) -> Array:
    return np.zeros(shape)


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
    missing: tuple[str, ...] = ()
    bound_counted: bool = True
    """Whether the candidate's server counts the latency bound of the spec."""
    readings: int = 0
    calm: int = CALM_LOOKS
    """Looks since the last common shock."""
    arms_source: Source = field(default_factory=Source)
    pairs_source: Source = field(default_factory=Source)
    gateway_source: Source = field(default_factory=Source)
    arms: Array = field(default_factory=lambda: _zeros(2, 7, 1))
    """What both arms added since the stage began, champion first."""
    block: Array = field(default_factory=lambda: _zeros(2, 7, 1))
    """The part of it that is not yet compared."""
    block_shocked: bool = False
    pairs: Array = field(default_factory=lambda: _zeros(9, 1))
    pairs_in_time: Blocks = field(default_factory=Blocks)
    """Pairs, sum of score differences, sum of decision differences."""
    arms_in_time: Blocks = field(default_factory=Blocks)
    """Weight, weighted differences of score and decision."""
    routed: Array = field(default_factory=lambda: _zeros(2))
    """Requests of champion and candidate at the gateway, without looks longer than the lease: there the weight was gone."""
    latency: Latency = field(default_factory=Latency)
    failures: Failures = field(default_factory=Failures)
    contrast: Contrast = field(default_factory=Contrast)

    @property
    def alone(self) -> bool:
        """Whether the champion answers nobody at this stage."""
        return self.stage.weight == 100

    @property
    def frozen(self) -> bool:
        """Whether both versions suffer together now, or did a moment ago."""
        return self.calm < CALM_LOOKS


def open_case(
    release: Release, stage: StageSpec, predicted: Predicted, baseline: Reading, score_range: tuple[float, float]
) -> Case:
    """A case without evidence. `baseline` is the reading at the stage's entry: only what comes after it counts."""
    record = None if baseline.champion is None else looks.arm_array(baseline.champion, release.gates.p95_ms).sum(axis=1)
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
    )
    return replace(_fold(case, baseline), readings=0)


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
    bound = case.release.gates.p95_ms
    arms_source, arms = looks.step(case.arms_source, *looks.arms_array(reading, case.stage.kind, bound), looks.ARM_COUNTS)
    pairs_source, pairs = looks.step(case.pairs_source, *looks.pairs_array(reading.pairs), looks.PAIR_COUNTS)
    gateway_source, gateway = looks.step(case.gateway_source, *looks.gateway_array(reading.gateway), looks.GATEWAY_COUNTS)
    watched = reading.taken_at - case.taken_at <= case.release.lease
    restarted = looks.COUNTER_RESET in (arms_source.problem, pairs_source.problem)
    case = replace(
        case,
        taken_at=reading.taken_at,
        baked_from=reading.taken_at if restarted else case.baked_from,
        missing=reading.missing,
        readings=case.readings + 1,
        bound_counted=reading.candidate is None or bound is None or looks.slow_key(reading.candidate, bound) is not None,
        arms_source=arms_source,
        pairs_source=pairs_source,
        gateway_source=gateway_source,
        pairs=case.pairs if pairs is None else case.pairs + pairs,
        pairs_in_time=case.pairs_in_time if pairs is None else blocks.push(case.pairs_in_time, _paired(pairs)),
        routed=case.routed + gateway[:, 0] if watched and gateway is not None else case.routed,
    )
    return _fold_arms(case, arms, gateway)


def _paired(pairs: Array) -> Array:
    sums = pairs.sum(axis=1)
    return np.array([sums[PAIRS], sums[DIFF], sums[ON] - sums[OFF]])


def _fold_arms(case: Case, arms: Array | None, gateway: Array | None) -> Case:
    """Count errors at every look; compare the arms when a block is full."""
    if arms is None and gateway is None:
        return case
    servers = None if arms is None else arms.sum(axis=2)
    hit, common = _shocks(case, servers, gateway)
    total = case.arms if arms is None else case.arms + arms
    seen = failures.fold(case.failures, servers, gateway, total, limit=_error_limit(case), shocked=hit)
    case = replace(case, arms=total, failures=seen, calm=0 if common else case.calm + 1)
    if arms is None:
        return case
    return _fold_block(replace(case, block=case.block + arms, block_shocked=case.block_shocked or hit))


def _shocks(case: Case, servers: Array | None, gateway: Array | None) -> tuple[bool, bool]:
    """Whether the champion suffers in this look, and whether both do."""
    look = _zeros(2, 7) if servers is None else servers.copy()
    if gateway is not None:
        look[:, (REQUESTS, ERRORS)] = np.maximum(look[:, (REQUESTS, ERRORS)], gateway)
    if case.alone or not shock.shocked(look[0], case.limits):
        return False, False
    return True, shock.suffers(look[1], case.limits)


def _error_limit(case: Case) -> float:
    gate = case.release.gates.error_rate
    return min(1.0, (case.reference_errors or 0.0) + (gate.margin if gate else 0.0))


def _fold_block(case: Case) -> Case:
    champion, candidate = case.block[:, REQUESTS].sum(axis=1)
    if candidate < LEAST_BLOCK[1] or (champion < LEAST_BLOCK[0] and not case.alone):
        return case
    compared = contrast.fold(case.contrast, case.block)
    look = np.append(compared.weight - case.contrast.weight, compared.sums - case.contrast.sums)
    return replace(
        case,
        arms_in_time=blocks.push(case.arms_in_time, look),
        latency=latency.fold(case.latency, case.block.sum(axis=2), case.arms, alone=case.alone, shocked=case.block_shocked),
        contrast=compared,
        block=np.zeros_like(case.block),
        block_shocked=False,
    )
