"""How the online judge behaves: false reverts, power, and time to decision, by simulation with fixed seeds.

    python benchmarks/judge_operating_characteristics.py [--rollouts 100] [--streams 400] [--looks 120] [--write docs/judge.md]

Part 1 runs whole rollouts through the public functions (open_case, add, judge) on readings of a simulated service. Part 2
runs the sequential tests alone, many streams at once, exactly at their null hypothesis and at 5 %, under dependence of every
kind.
The default takes about two minutes on two idle cores; figures are counts with their 95 % intervals (Clopper and Pearson).
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from sluicegate.domain.evidence import Reading
from sluicegate.domain.spec import Gate, Gates, Release, StageSpec
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.gates import add, bounds, contrast, events, judge, latency, open_case
from sluicegate.gates.looks import DECISIONS, ERRORS, REQUESTS, SCORE, SCORE_SQUARE, SLOW
from sluicegate.testing.evidence import Behaviour, Service, constant, never

Array = NDArray[np.float64]
MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")
RELEASE = Release(
    stages=(
        StageSpec(mirror=60, bake=6, min_requests=300),
        StageSpec(weight=5, bake=6, min_requests=20),
        StageSpec(weight=25, bake=6, min_requests=100),
        StageSpec(weight=50, bake=8, min_requests=300),
        StageSpec(weight=100, bake=5, min_requests=300),
    ),
    gates=Gates(p95_ms=25, error_rate=Gate(margin=0.02), score=Gate(margin=0.03), decision_rate=Gate(margin=0.05)),
)
"""The demo's plan, at 150 requests a second with a look every 0.5 s."""
PATIENCE_S = 60.0
QUIET = Behaviour(slow=constant(0.002), errors=constant(0.0005))
BETTER = replace(QUIET, shift=-0.04, noise=0.10, user_noise=0.05)
"""A candidate that rightly lowers the mean score by 0.04; the comparison predicted it."""


@dataclass(frozen=True)
class Scenario:
    """A simulated service, and what differs live from what was compared offline."""

    name: str
    candidate: Behaviour = BETTER
    champion: Behaviour = QUIET
    live: Behaviour | None = None
    """The candidate as it really serves; None: as compared."""
    users: int = 3000
    shock: Callable[[float], float] = never
    spoil: Callable[[Reading], Reading] = lambda reading: reading
    stages: tuple[int, ...] = (0, 1, 2, 3, 4)


def _lopsided(reading: Reading) -> Reading:
    """A router that ignores the weight: the gateway gave the candidate nothing."""
    gateway = reading.gateway
    assert gateway is not None
    stuck = replace(gateway, champion_requests=gateway.champion_requests + gateway.candidate_requests, candidate_requests=0)
    return replace(reading, gateway=stuck)


def _dark(reading: Reading) -> Reading:
    return Reading(reading.taken_at, missing=("metrics: no answer",))


def _nan(reading: Reading) -> Reading:
    assert reading.pairs is not None
    assert reading.candidate is not None
    nan = (float("nan"),) * 200
    return replace(reading, pairs=replace(reading.pairs, difference_sum=nan), candidate=replace(reading.candidate, score_sum=nan))


def _burst(seconds: float) -> float:
    """A shock of 3 s in every 20 s: 40 % of all requests are slow, whoever answers."""
    return 0.4 if seconds % 20 < 3 else 0.0


CLUSTERED = Behaviour(slow=constant(0.01), errors=constant(0.005), user_noise=0.15, user_errors=0.05)
HEALTHY = (
    Scenario("healthy, independent requests"),
    Scenario("healthy, requests of a user move together", replace(CLUSTERED, shift=-0.04, noise=0.08), CLUSTERED),
    Scenario("healthy, only 300 users", users=300),
    Scenario("healthy, common shock 3 s in 20 s", shock=_burst, stages=(0, 1, 2, 3)),
)
HARMS = (
    Scenario("skew: live mean 0.05 off the prediction", live=replace(BETTER, shift=0.01), stages=(0,)),
    Scenario("skew: live mean 0.08 off the prediction", live=replace(BETTER, shift=0.04), stages=(0,)),
    Scenario("30 % slower than the bound at 5 %", replace(BETTER, slow=constant(0.3)), stages=(1,)),
    Scenario("30 % slower than the bound at 25 %", replace(BETTER, slow=constant(0.3)), stages=(2,)),
    Scenario("30 % slower than the bound at 50 %", replace(BETTER, slow=constant(0.3)), stages=(3,)),
    Scenario("10 % slower than the bound at 25 %", replace(BETTER, slow=constant(0.1)), stages=(2,)),
    Scenario("5 % errors at 25 %", replace(BETTER, errors=constant(0.05)), stages=(2,)),
    Scenario("crash at 25 %", replace(BETTER, errors=constant(1.0)), stages=(2,)),
    Scenario("slower and slower at 25 %", replace(BETTER, slow=lambda t: min(1.0, t / 20)), stages=(2,)),
)
FAULTS = (
    Scenario("metric source gone", spoil=_dark),
    Scenario("scores are not a number", spoil=_nan, stages=(0,)),
    Scenario("router ignores the weight", spoil=_lopsided, stages=(1, 2, 3, 4)),
)


@dataclass(frozen=True)
class Decision:
    """How one simulated stage ended."""

    stage: int
    verdict: Verdict
    reason: str
    seconds: float
    units: float
    """Candidate requests, or pairs at the mirror stage."""


def decide(scenario: Scenario, index: int, seed: int) -> Decision:
    """Run one stage until it is decided or patience ends."""
    stage = RELEASE.stages[index]
    service = Service(
        seed, scenario.champion, scenario.candidate, users=scenario.users, shock=scenario.shock, mirror_while_split=60
    )
    due = service.predicted()
    if scenario.live is not None:
        service.candidate = scenario.live
    readings = service.readings(stage, PATIENCE_S)
    case = open_case(RELEASE, stage, due, next(iter(readings)), (0.0, 1.0))
    verdict: StageVerdict | None = None
    for reading in readings:
        case = add(case, scenario.spoil(reading))
        verdict = judge(case)
        if verdict.verdict is not Verdict.INCONCLUSIVE:
            break
    assert verdict is not None
    units = float(case.pairs[0].sum() if stage.kind == "mirror" else case.arms[1, REQUESTS].sum())
    return Decision(index, verdict.verdict, verdict.reason, case.taken_at - case.opened_at, units)


def rollout(number: int, seed: int) -> list[Decision]:
    """All stages of a scenario, until one fails or is not decided."""
    scenario = (*HEALTHY, *HARMS, *FAULTS)[number]
    done: list[Decision] = []
    for index in scenario.stages:
        done.append(decide(scenario, index, 1000 * seed + 10 * number + index))
        if done[-1].verdict is not Verdict.PASS:
            break
    return done


def interval(count: int, total: int) -> str:
    """Share of `count` in percent with its exact 95 % interval."""
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(0.975, count + 1, total - count))
    return f"{100 * count / total:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def middle(values: Iterable[float]) -> str:
    """Median and 90th percentile."""
    known = sorted(values)
    return f"{np.quantile(known, 0.5):.0f} / {np.quantile(known, 0.9):.0f}" if known else "–"


def healthy_rows(results: dict[str, list[list[Decision]]]) -> list[str]:
    """One line a healthy scenario."""
    rows = ["| healthy candidate | reverted | finished without a person | seconds per stage, median / p90 |", "|---|---|---|---|"]
    for name, runs in results.items():
        reverted = sum(run[-1].verdict is Verdict.FAIL for run in runs)
        finished = sum(run[-1].verdict is Verdict.PASS for run in runs)
        per_stage = [
            f"{RELEASE.stages[i].name} {middle(d.seconds for run in runs for d in run if d.stage == i)}"
            for i in sorted({d.stage for run in runs for d in run})
        ]
        rows.append(f"| {name} | {interval(reverted, len(runs))} | {interval(finished, len(runs))} | {', '.join(per_stage)} |")
    return rows


def harm_rows(results: dict[str, list[list[Decision]]]) -> list[str]:
    """One line a harm."""
    rows = [
        "| harm | found | missed (stage passed) | units to FAIL, median / p90 | seconds, median / p90 |",
        "|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        found = [run[-1] for run in runs if run[-1].verdict is Verdict.FAIL]
        missed = sum(run[-1].verdict is Verdict.PASS for run in runs)
        times = f"{middle(d.units for d in found)} | {middle(d.seconds for d in found)}"
        rows.append(f"| {name} | {interval(len(found), len(runs))} | {interval(missed, len(runs))} | {times} |")
    return rows


def fault_rows(results: dict[str, list[list[Decision]]]) -> list[str]:
    """One line a fault of the surroundings."""
    rows = ["| fault | passed | reverted | reasons told |", "|---|---|---|---|"]
    for name, runs in results.items():
        said = Counter(run[-1].reason for run in runs)
        count = Counter(run[-1].verdict for run in runs)
        rows.append(f"| {name} | {count[Verdict.PASS]} | {count[Verdict.FAIL]} | {', '.join(said)} |")
    return rows


# Part 2: the sequential tests alone --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dependence:
    """What makes requests move together, for users in equal number per bucket."""

    name: str
    correlation: float = 0.0
    """Intra-user correlation of events."""
    autocorrelation: float = 0.0
    """AR(1) coefficient of a log-normal shock common to both arms, standard deviation 0.5."""
    users_per_bucket: int = 50
    diurnal: bool = False


DEPENDENCE = (
    Dependence("independent"),
    Dependence("intra-user correlation 0.3", 0.3),
    Dependence("intra-user correlation 0.8", 0.8),
    Dependence("AR(1) 0.9 shocks common to both arms", 0.05, 0.9),
    Dependence("diurnal load, only 2000 users", 0.3, users_per_bucket=10, diurnal=True),
)
RAMP = (0.05, 0.10, 0.25, 0.50)
LEVEL = 0.05
"""Rate of slow requests (exactly the allowed share), of errors and of positive decisions, in both arms."""
REQUESTS_A_LOOK = 400


class Crowd:
    """Users of many independent streams: who asks, how often, and what happens to them."""

    def __init__(self, dependence: Dependence, number: int, rng: np.random.Generator) -> None:
        self._how, self._number, self._rng = dependence, number, rng
        self._users = 200 * dependence.users_per_bucket
        shape = (number, self._users)
        activity = np.cumsum(rng.gamma(1.0, size=shape), axis=1)
        self._places = (activity / activity[:, -1:] + np.arange(number)[:, None]).ravel()
        self._position = rng.random(shape)
        strength = (1 - dependence.correlation) / max(dependence.correlation, 1e-9)
        clustered = dependence.correlation > 0
        self._rate = rng.beta(LEVEL * strength, (1 - LEVEL) * strength, size=shape) if clustered else np.full(shape, LEVEL)
        self._taste = rng.normal(size=shape) * 0.1
        self._common = np.zeros(number)

    def look(self, number: int, weight: float) -> tuple[Array, Array]:
        """What one look adds: arms (streams, 2, 7, buckets) and pairs (2, streams, buckets)."""
        stream, user = self._who(number)
        hit = self._rng.random(len(stream)) < np.minimum(self._rate[stream, user] * self._lift()[stream], 1.0)
        mine = self._position[stream, user] < weight
        bucket = user // self._how.users_per_bucket
        taste = self._taste[stream, user]
        place = (stream * 2 + mine) * 200 + bucket
        block = np.zeros((self._number, 2, 7, 200))
        rows = ((REQUESTS, None), (SLOW, hit), (SCORE, taste), (SCORE_SQUARE, taste**2))
        for row, values in rows:
            block[:, :, row] = np.bincount(place, values, self._number * 400).reshape(self._number, 2, 200)
        block[:, :, ERRORS] = block[:, :, DECISIONS] = block[:, :, SLOW]
        gap = np.where(mine, 0.0, taste + self._rng.normal(size=len(taste)) * 0.1)
        paired = np.bincount(stream * 200 + bucket, gap, self._number * 200).reshape(self._number, 200)
        return block, np.stack([block[:, 0, REQUESTS], paired])

    def _who(self, look: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        load = 1 + 0.8 * np.sin(2 * np.pi * look / 60) if self._how.diurnal else 1.0
        stream = np.repeat(np.arange(self._number), self._rng.poisson(REQUESTS_A_LOOK * load, self._number))
        found = np.searchsorted(self._places, self._rng.random(len(stream)) + stream) - stream * self._users
        return stream, np.clip(found, 0, self._users - 1)

    def _lift(self) -> Array:
        """The common shock of this look: log-normal with mean 1."""
        rho = self._how.autocorrelation
        if not rho:
            return np.ones(self._number)
        self._common = rho * self._common + self._rng.normal(size=self._number) * 0.5 * np.sqrt(1 - rho**2)
        return np.exp(self._common - 0.125)


def streams(dependence: Dependence, number: int, looks: int, seed: int) -> dict[str, float]:
    """Share of streams in which each test, at 5 % and at its null hypothesis, is ever wrong."""
    crowd = Crowd(dependence, number, np.random.default_rng(seed))
    total, pairs = np.zeros((number, 2, 7, 200)), np.zeros((2, number, 200))
    slow, by_arm = _processes(number)
    arms = contrast.Contrast(*(np.zeros((number, *shape)) for shape in ((), (2,), (2,), (2, 200))))
    wrong = {name: np.zeros(number, dtype=bool) for name in ("latency", "errors", "arms", "pairs")}
    for look in range(looks):
        block, paired = crowd.look(look, RAMP[look * len(RAMP) // looks])
        total, pairs = total + block, pairs + paired
        slow = _grow_slow(slow, block, total)
        by_arm = _grow_arms(by_arm, block, total)
        arms = contrast.fold(arms, block)
        _note(wrong, slow, by_arm, contrast.difference(arms, total[:, 0], 1), pairs)
    return {name: float(seen.mean()) for name, seen in wrong.items()}


def _processes(number: int) -> tuple[events.Process, events.Process]:
    sizes = len(events.LIFTS), len(events.RATIOS)
    slow, by_arm = (events.Process(np.full((number, size), -np.inf)) for size in sizes)
    return slow, by_arm


def _grow_slow(process: events.Process, block: Array, total: Array) -> events.Process:
    look = block.sum(axis=3)
    cautious = np.array([latency.cautious_share(k, n) for k, n in zip(look[:, 0, SLOW], look[:, 0, REQUESTS], strict=True)])
    spread = events.overdispersion(total[:, 1, SLOW], total[:, 1, REQUESTS])
    bet = events.share_evidence(look[:, 1, SLOW], look[:, 1, REQUESTS], np.maximum(0.05, cautious), spread)
    return events.grow(process, bet)


def _grow_arms(process: events.Process, block: Array, total: Array) -> events.Process:
    look = block.sum(axis=3)
    exposure = look[:, 1, REQUESTS] / np.maximum(look[:, :, REQUESTS].sum(axis=1), 1)
    spread = events.overdispersion(total[:, 1, ERRORS], total[:, 1, REQUESTS])
    return events.grow(process, events.arm_evidence(look[:, 0, ERRORS], look[:, 1, ERRORS], exposure, spread))


def _note(
    wrong: dict[str, NDArray[np.bool_]],
    slow: events.Process,
    by_arm: events.Process,
    arms: tuple[Array, Array],
    pairs: Array,
) -> None:
    wrong["latency"] |= slow.log_value >= np.log(20)
    wrong["errors"] |= by_arm.log_value >= np.log(20)
    found, error = arms
    wrong["arms"] |= np.abs(found) > bounds.half_widths(error, 0.02, 0.05)
    mean = pairs[1].sum(axis=1) / np.maximum(pairs[0].sum(axis=1), 1)
    wrong["pairs"] |= np.abs(mean) > bounds.half_widths(bounds.ratio_standard_error(pairs[1], pairs[0]), 0.02, 0.05)


def stream_rows(results: dict[str, dict[str, float]], number: int) -> list[str]:
    """One line a kind of dependence."""
    names = ("latency", "errors", "arms", "pairs")
    rows = [
        "| false alarms of one test at 5 %, over all looks | latency | errors | decisions of arms | scores of pairs |",
        "|---|---|---|---|---|",
    ]
    for name, found in results.items():
        rows.append(f"| {name} | {' | '.join(interval(round(found[n] * number), number) for n in names)} |")
    return rows


def doubled_errors(number: int) -> str:
    """Error events until FAIL when errors double from 1 % to 2 % at 5 % weight, at alpha 5 % and at a gate's part of it."""
    rng = np.random.default_rng(5)
    process = events.Process(np.full((number, len(events.RATIOS)), -np.inf))
    seen = np.zeros(number)
    at = {0.05: np.full(number, np.nan), 0.0025: np.full(number, np.nan)}
    for _ in range(1500):
        champion, candidate = rng.poisson(1.9, number), rng.poisson(0.2, number)
        seen += champion + candidate
        process = events.grow(process, events.arm_evidence(champion, candidate, 0.05, 1.0))
        for alpha, first in at.items():
            first[np.isnan(first) & (process.log_value >= -np.log(alpha))] = seen[
                np.isnan(first) & (process.log_value >= -np.log(alpha))
            ]
    return "; ".join(f"α {a:g}: {middle(np.where(np.isnan(f), 9e9, f))}" for a, f in at.items())


def tables(rollouts: int, number: int, looks: int) -> str:
    """All figures as Markdown."""
    began = time.perf_counter()
    everything = (*HEALTHY, *HARMS, *FAULTS)
    with Pool(2) as pool:
        jobs = [(i, seed) for i in range(len(everything)) for seed in range(rollouts if i < len(HEALTHY) else rollouts // 2)]
        done = pool.starmap(rollout, jobs, chunksize=4)
        part = partial(streams, number=number // 2, looks=looks)
        halves = pool.starmap(_stream_job, [(part, d, seed) for d in DEPENDENCE for seed in (1, 2)], chunksize=1)
    runs: dict[str, list[list[Decision]]] = {s.name: [] for s in everything}
    for (i, _), result in zip(jobs, done, strict=True):
        runs[everything[i].name].append(result)
    groups = [{s.name: runs[s.name] for s in group} for group in (HEALTHY, HARMS, FAULTS)]
    found = {d.name: _mean(halves[2 * i], halves[2 * i + 1]) for i, d in enumerate(DEPENDENCE)}
    parts = [healthy_rows(groups[0]), harm_rows(groups[1]), fault_rows(groups[2]), stream_rows(found, number // 2 * 2)]
    doubled = f"Errors 1 % → 2 % at 5 % weight, error events until FAIL, median / p90: {doubled_errors(2000)}."
    sizes = f"{rollouts} healthy rollouts a row, {rollouts // 2} a harm or fault; {number} streams of {looks} looks"
    note = f"{sizes}, ramped 5–10–25–50 %; {time.perf_counter() - began:.0f} s on two cores."
    return "\n\n".join(["\n".join(rows) for rows in parts] + [doubled, note])


def _stream_job(part: Callable[..., dict[str, float]], dependence: Dependence, seed: int) -> dict[str, float]:
    return part(dependence, seed=seed)


def _mean(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {name: (one[name] + other[name]) / 2 for name in one}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--looks", type=int, default=120)
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this document")
    wanted = parser.parse_args()
    text = tables(wanted.rollouts, wanted.streams, wanted.looks)
    print(text)
    if wanted.write is not None:
        page = wanted.write.read_text()
        head, tail = page[: page.index(MARKS[0]) + len(MARKS[0])], page[page.index(MARKS[1]) :]
        wanted.write.write_text(f"{head}\n\n{text}\n\n{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
