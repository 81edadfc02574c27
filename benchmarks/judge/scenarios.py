"""What is simulated: harmless candidates in every kind of dependence, harms, and faults of the surroundings."""

from dataclasses import replace
from typing import Any

import numpy as np

from judge.ledger import BOUND_MS, LABEL_DELAY, LOOK_S
from judge.points import dark, without, without_latency
from judge.rollouts import Scenario, Spoil
from judge.world import INDEPENDENT, LATENCY_MS, Surroundings, Version
from sluicegate.domain.evidence import ArmCounters, Reading
from sluicegate.domain.gate_spec import RawRule, ScoreGate
from sluicegate.domain.spec import Release

LOOKS = 80
"""Looks that every stage bakes: five stages make 400."""
RELEASE = Release.model_validate(
    {
        "stages": [
            {"mirror": 60, "bake": LOOKS * LOOK_S, "deadline": "24h", "min_requests": 500},
            *({"weight": w, "bake": LOOKS * LOOK_S, "deadline": "24h", "min_requests": 100} for w in (5, 25, 50, 100)),
        ],
        "gates": {
            "p95_ms": 80,
            "error_rate": {"margin": "1pp"},
            "score": {"margin": 0.03, "mass": "0.5%"},
            "decision_rate": {"margin": "3pp", "any_harm": True},
            "throughput": {"margin": "20%"},
            "cpu_ms": {"margin": "20%"},
            "memory_mb": 512,
            "value": {"margin": "20%"},
            "labels": {"margin": 0.02, "within": 2 * LABEL_DELAY * LOOK_S},
        },
        "segments": ["carrier"],
        "look_every": LOOK_S,
        "lease": 2 * LOOK_S,
    }
)
"""Nine gates and five segments."""
WATCHED = 200
"""Rollouts of a row that the peers watch too."""

DEPENDENCE = (
    INDEPENDENT,
    Surroundings("intra-user correlation 0.3", correlation=0.3),
    Surroundings("intra-user correlation 0.8", correlation=0.8),
    Surroundings("AR(1) 0.5 shocks common to both", memory=0.5),
    Surroundings("AR(1) 0.9 shocks common to both", memory=0.9),
    Surroundings("diurnal load and latency", diurnal=True),
    Surroundings("only 2000 users, correlation 0.3", correlation=0.3, users=2000),
    Surroundings("heavy users (Pareto 1.5) stay through the ramp", correlation=0.1, tail=1.5),
)
BURSTS = Surroundings("bursts: 40 % slow, 10 % failed, for both (to weight 50)", burst=True)
EDGE = Version(slower=BOUND_MS / LATENCY_MS)
HEALTHY = (
    *(Scenario(how.name, RELEASE, how, watched=WATCHED) for how in DEPENDENCE),
    Scenario(BURSTS.name, RELEASE, BURSTS, stages=(0, 1, 2, 3), watched=WATCHED),
    Scenario("both exactly as slow as the bound allows", RELEASE, champion=EDGE, compared=EDGE, patience=1.0),
)
"""With bursts 8 % of all requests are slow: at weight 100, where no champion excuses it, that breaks the bound, so that row ends at 50."""

HARMS = (
    Scenario("errors × 2 (1 → 2 %)", RELEASE, champion=Version(errors=0.01), compared=Version(errors=0.02), watched=WATCHED),
    Scenario("latency × 1.2 (p95 72 → 86 ms, bound 80)", RELEASE, compared=Version(slower=1.2), watched=WATCHED),
    Scenario("p99 + 20 %, p95 unchanged", RELEASE, compared=Version(tail_slower=1.2), watched=WATCHED),
    Scenario("rejections 10 → 12 %, not predicted", RELEASE, live=Version(flipped=0.02), watched=WATCHED),
    Scenario("2 % of score mass moved, mean unchanged", RELEASE, live=Version(moved=0.02), watched=WATCHED),
    Scenario("errors 0.5 → 5 % in one 5 % segment", RELEASE, compared=Version(small_errors=0.05), watched=WATCHED),
    Scenario("CPU × 1.5", RELEASE, compared=Version(cost=1.5), watched=WATCHED),
)

FLAGSHIP = Release.model_validate(
    {
        "stages": [{"mirror": 50, "bake": "24h"}, *({"weight": w, "bake": "24h"} for w in (5, 25, 50, 100))],
        "gates": {
            "p95_ms": 80,
            "error_rate": {"margin": "1pp"},
            "score": {"margin": 0.03},
            "decision_rate": {"margin": "3pp", "any_harm": True},
        },
        "lease": 2 * LOOK_S,
    }
)
"""Gates and stages of models/flights; the bake only keeps a stage from ending early."""


MASS = FLAGSHIP.model_copy(update={"gates": FLAGSHIP.gates.model_copy(update={"score": ScoreGate(margin=0.03, mass=0.005)})})
SEGMENTS = FLAGSHIP.model_copy(update={"segments": ("carrier",)})


def _sharp(name: str, requests: float, release: Release = FLAGSHIP, stage: int = 1, **more: Any) -> Scenario:
    crowd = Surroundings(requests=requests)
    mirrored = 0.5 if stage == 0 else 0.0
    return Scenario(name, release, crowd, mirrored=mirrored, stages=(stage,), patience=1.0, **more)


SHARP = (
    _sharp("errors 1 → 2 %, weight 5", 1000, champion=Version(errors=0.01), compared=Version(errors=0.02)),
    _sharp("rejections 10 → 12 %, weight 5", 2000, live=Version(flipped=0.02)),
    _sharp("2 % of score mass moved, mirror", 2000, MASS, 0, live=Version(moved=0.02)),
    _sharp("errors 0.5 → 5 % in one 5 % segment, weight 5", 2000, SEGMENTS, compared=Version(small_errors=0.05)),
)


def _gone(reading: Reading, look: int) -> Reading:
    return Reading(reading.taken_at, missing=("metrics: no answer",)) if look > LOOKS // 2 else reading


def _nan(reading: Reading, look: int) -> Reading:
    if look <= LOOKS // 2:
        return reading
    nan = np.full(200, np.nan)
    assert reading.pairs is not None
    assert reading.champion is not None
    assert reading.candidate is not None
    return replace(
        reading,
        pairs=replace(reading.pairs, difference_sum=nan),
        candidate=replace(reading.candidate, score_sum=nan),
        champion=replace(reading.champion, score_sum=nan),
    )


def _stalled(reading: Reading, _: int) -> Reading:
    """Answers become due, and nobody learns what came of them."""
    assert reading.labels is not None
    told = {name: np.zeros_like(value) for name, value in vars(reading.labels).items() if isinstance(value, np.ndarray)}
    return replace(reading, labels=replace(reading.labels, newest=None, **told))


def _untimed(reading: Reading, _: int) -> Reading:
    def bare(arm: ArmCounters | None) -> ArmCounters | None:
        return None if arm is None else replace(arm, slow={})

    return replace(reading, champion=bare(reading.champion), candidate=bare(reading.candidate), mirror=bare(reading.mirror))


def _fault(name: str, spoil: Spoil | None = None, **more: Any) -> Scenario:
    return Scenario(name, RELEASE, spoil=spoil, watched=10, **more)


FAULTS = (
    _fault("metric source gone half-way", _gone, spoil_points=lambda seen: dark(seen, LOOKS // 2)),
    _fault("no traffic", surroundings=Surroundings(requests=0.0)),
    _fault("values not a number half-way", _nan, spoil_points=lambda seen: without(seen, LOOKS // 2)),
    _fault("router ignores the weight", stuck=True, stages=(1, 2, 3, 4)),
    _fault("labels stalled", _stalled, stages=(0, 1, 2, 3)),
    _fault("latency not measured", _untimed, stages=(1, 2, 3, 4), spoil_points=without_latency),
)
"""Every stage is entered with a fresh fault; none may pass or fail."""

BETTER = Version(shift=-0.228)
"""Rightly better, and its mean score lies 15 % lower, as on the flights of July."""
RAW = RELEASE.model_copy(update={"gates": RELEASE.gates.model_copy(update={"raw_score_mean": RawRule(within=0.05)})})
RIGHTLY = (
    Scenario("mean score 15 % lower, as predicted: our gates", RELEASE, compared=BETTER),
    Scenario("the same with raw_score_mean: {within: 5%}", RAW, compared=BETTER),
)
BUSY = Scenario("independent requests, 100 a second", RELEASE, Surroundings(requests=6000.0), watched=1000)

EVERY = (*HEALTHY, *HARMS, *SHARP, *FAULTS, *RIGHTLY, BUSY)
BY_NAME = {scenario.name: scenario for scenario in EVERY}
