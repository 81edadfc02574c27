"""Whole rollouts through the shipped judge: open_case, add and judge at every look, as the watcher does it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import process_time

import numpy as np

from judge.ledger import CUT, LOOK_S, Ledger
from judge.peers import PEERS, Ending
from judge.points import Points, points
from judge.quiet import after_bake
from judge.world import HEALTHY, INDEPENDENT, SEGMENTS, Array, Surroundings, Version, World
from sluicegate.domain.evidence import Predicted, Reading, SegmentPrediction
from sluicegate.domain.spec import Release, StageSpec
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import add, judge, open_case
from sluicegate.testing.evidence import predict

BEFORE = 20
"""Looks before the rollout: the champion's record."""
AT_ONCE = 80
"""Looks of a stage that are simulated together, if it bakes so long."""
HOLDOUT = 40_000
"""Rows on which the candidate was compared."""

Spoil = Callable[[Reading, int], Reading]
"""What a fault makes of the reading of a look."""


@dataclass(frozen=True)
class Scenario:
    """A rollout to simulate many times."""

    name: str
    release: Release
    surroundings: Surroundings = INDEPENDENT
    champion: Version = HEALTHY
    compared: Version = HEALTHY
    """The candidate as the offline comparison saw it."""
    live: Version | None = None
    """The candidate as it serves; None: as compared."""
    mirrored: float = 0.5
    """Share of the champion's requests that the candidate answers too, below weight 100."""
    stages: tuple[int, ...] = (0, 1, 2, 3, 4)
    patience: float = 2.0
    """Bakes after which an undecided stage is handed to a person, who lets it go on."""
    spoil: Spoil | None = None
    spoil_points: Callable[[Points], Points] = lambda seen: seen
    watched: int = 0
    """Seeds below this are watched by the peers too."""
    stuck: bool = False
    """The router ignores the weight: everybody stays with the champion."""


@dataclass(frozen=True)
class Stage:
    """How one stage ended."""

    index: int
    verdict: Verdict
    reason: str
    gate: str
    """The gate that failed."""
    looks: int
    requests: float
    """Candidate's requests (pairs at a mirror)."""
    everyone: float
    """Requests of both arms."""
    errors: float
    """Error events of both arms."""


@dataclass(frozen=True)
class Run:
    """How one rollout ended."""

    stages: tuple[Stage, ...]
    peers: dict[str, Ending] = field(default_factory=dict)
    seconds: float = 0.0
    """Processor time that the simulation took."""

    @property
    def reverted(self) -> bool:
        return any(s.verdict is Verdict.FAIL for s in self.stages)

    @property
    def alone(self) -> bool:
        """Whether it finished without a person."""
        return all(s.verdict is Verdict.PASS for s in self.stages)

    @property
    def looks(self) -> int:
        return sum(s.looks for s in self.stages)


def run(scenario: Scenario, seed: int, *, at_once: bool = True) -> Run:
    """Simulate one rollout; a peer watches the same requests below weight 100. Not `at_once`: every look goes through the judge."""
    began = process_time()
    due = prediction(scenario, seed)
    live = scenario.live or scenario.compared
    world = World(scenario.surroundings, 2 * seed + 1, scenario.champion, live)
    ledger = Ledger(world, scenario.mirrored)
    ledger.record(BEFORE, 0)
    done: list[Stage] = []
    seen: list[Points] = []
    watched = seed < scenario.watched
    for index in scenario.stages:
        stage = scenario.release.stages[index]
        readings, asked = ledger.record(min(_bake(stage), AT_ONCE), 0 if scenario.stuck else stage.weight or 0)
        if watched and stage.weight not in (None, 100):
            seen.append(scenario.spoil_points(points(asked, world, (stage.weight or 0) / 100)))
        if not (done and done[-1].verdict is Verdict.FAIL):
            rows = ledger.rows if at_once and scenario.spoil is None and not scenario.stuck else {}
            done.append(_stage(scenario, index, due, _then(readings, ledger, scenario, stage), rows))
        if done[-1].verdict is Verdict.FAIL and not watched:
            break
    told = {name: rule(seen) for name, rule in PEERS.items()} if watched else {}
    return Run(tuple(done), told, process_time() - began)


def prediction(scenario: Scenario, seed: int) -> Predicted:
    """What the offline comparison of these versions predicts, on other users of the same kind."""
    world = World(replace(scenario.surroundings, requests=1000.0), 2 * seed, scenario.champion, scenario.compared)
    asked = world.ask(HOLDOUT // 1000, 0.0)
    champion, candidate = asked.score
    told = predict(champion, candidate, CUT)
    flips = (candidate >= CUT).astype(float) - (champion >= CUT)
    segment = world.segment[asked.user]
    rows = np.bincount(segment, minlength=len(SEGMENTS))
    sums = np.bincount(segment, flips, len(SEGMENTS)) / np.maximum(rows, 1)
    parts = {f"carrier={s}": SegmentPrediction(int(n), float(d)) for s, n, d in zip(SEGMENTS, rows, sums, strict=True)}
    return Predicted(**{**vars(told), "segments": parts})


def _bake(stage: StageSpec) -> int:
    return round(stage.bake / LOOK_S)


def _then(readings: Iterator[Reading], ledger: Ledger, scenario: Scenario, stage: StageSpec) -> Iterator[Reading]:
    """The first readings, then more, in tens, as long as somebody asks for them."""
    yield from readings
    for _ in range(round((_bake(stage) * scenario.patience - min(_bake(stage), AT_ONCE)) / 10)):
        more, _ = ledger.record(10, 0 if scenario.stuck else stage.weight or 0)
        next(more)
        yield from more


def _stage(scenario: Scenario, index: int, due: Predicted, readings: Iterator[Reading], rows: dict[str, Array]) -> Stage:
    """Judge every look until the stage is decided or patience ends; a quiet bake, of which `rows` tell, is judged at its end."""
    stage, baseline = scenario.release.stages[index], next(readings)
    case = open_case(scenario.release, stage, due, baseline, (0.0, 1.0))
    baked = after_bake(case, rows) if rows and len(rows["due"]) == _bake(stage) + 1 else None
    verdict = judge(baked) if baked is not None else None
    if verdict is not None and verdict.verdict is Verdict.PASS:
        return Stage(index, Verdict.PASS, verdict.reason, "", len(rows["due"]) - 1, *_added(rows, stage))
    verdict, reading, looks = judge(case), baseline, 0
    for looks, reading in enumerate(readings, 1):
        case = add(case, reading if scenario.spoil is None else scenario.spoil(reading, looks))
        verdict = judge(case)
        if verdict.verdict is not Verdict.INCONCLUSIVE:
            break
    gate = next((g.gate for g in verdict.gates if g.verdict is Verdict.FAIL), "")
    units = (b - a for a, b in zip(_units(baseline, stage), _units(reading, stage), strict=True))
    return Stage(index, verdict.verdict, verdict.reason, gate, looks, *units)


def _added(rows: dict[str, Array], stage: StageSpec) -> tuple[float, float, float]:
    """`_units` of what running totals added."""
    added = {name: table[-1] - table[0] for name, table in rows.items()}
    arms = added["champion"][:2] + added["candidate"][:2]
    mine = added["pairs"][0] if stage.kind == "mirror" else added["candidate"][0]
    return float(mine.sum()), float(arms[0].sum()), float(arms[1].sum())


def _units(reading: Reading, stage: StageSpec) -> tuple[float, float, float]:
    """Candidate's requests or pairs, requests of both arms, error events of both arms."""
    champion, candidate, pairs = reading.champion, reading.candidate, reading.pairs
    assert champion is not None
    assert candidate is not None
    assert pairs is not None
    mine = np.sum(pairs.pairs if stage.kind == "mirror" else candidate.requests)
    both = np.sum(champion.requests) + np.sum(candidate.requests)
    return float(mine), float(both), float(np.sum(champion.errors) + np.sum(candidate.errors))
