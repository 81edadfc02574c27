"""A small run of the published simulation: what docs/judge.md claims, within the binomial error of so few runs.

Slower than a unit test should be: error rates show themselves only in many rollouts.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from judge import rollouts, scenarios, tables
from judge.ledger import LOOK_S, Ledger
from judge.rollouts import Run, Scenario, prediction, run
from judge.world import World
from scipy.stats import binomtest

from sluicegate.domain.verdict import Verdict
from sluicegate.gates import add, bounds, judge, open_case

pytestmark = pytest.mark.slow
ROLLOUTS = 40
ALPHA = scenarios.RELEASE.alpha
CHANCE = 1e-4
"""A row fails only where a judge that keeps its budget would show so many false reverts in one of 10 000 runs."""
LOOKS = 16
SHORT = [stage.model_copy(update={"bake": LOOKS * LOOK_S}) for stage in scenarios.RELEASE.stages]


def short(scenario: Scenario, **changes: Any) -> Scenario:
    """The scenario with stages of 16 looks, unseen by peers."""
    release = scenario.release.model_copy(update={"stages": tuple(SHORT)})
    return replace(scenario, release=release, watched=0, patience=1.0, **changes)


def too_many(runs: list[Run]) -> bool:
    """Whether so many false reverts speak against the budget beyond chance."""
    reverted = sum(run.reverted for run in runs)
    return binomtest(reverted, len(runs), ALPHA, alternative="greater").pvalue < CHANCE


def named(group: tuple[Scenario, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scenario", group, ids=lambda scenario: scenario.name)


@named(scenarios.HEALTHY)
def test_an_identical_candidate_is_reverted_within_the_budget(scenario: Scenario) -> None:
    runs = [run(short(scenario), 10_000 + seed) for seed in range(ROLLOUTS)]
    assert not too_many(runs), tables.healthy({scenario.name: runs})


def test_a_judge_that_forgot_how_often_it_looks_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "half_width", lambda standard_error, *_: 1.96 * standard_error)
    monkeypatch.setattr(bounds, "beyond", lambda gaps, standard_errors, *_: np.maximum(gaps - 1.96 * standard_errors, 0.0))
    assert too_many([run(short(scenarios.HEALTHY[0]), seed, at_once=False) for seed in range(ROLLOUTS)])


@named((*scenarios.HEALTHY, *scenarios.HARMS))
def test_stages_that_are_judged_at_once_end_as_they_do_look_by_look(scenario: Scenario) -> None:
    changed = short(scenario)
    for seed in range(2):
        assert run(changed, seed).stages == run(changed, seed, at_once=False).stages


def test_most_stages_of_identical_candidates_need_no_look_by_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[float] = []
    monkeypatch.setattr(rollouts, "add", lambda case, reading: looked_at.append(reading.taken_at) or add(case, reading))
    looks = sum(run(short(scenarios.HEALTHY[0]), seed).looks for seed in range(4))
    assert len(looked_at) < looks / 4


@named(scenarios.SHARP)
def test_a_harm_is_found_and_half_of_the_time_well_within_its_bar(scenario: Scenario) -> None:
    unit = dict(zip((s.name for s in scenarios.SHARP), tables.UNITS, strict=True))[scenario.name]
    runs = [run(scenario, 20_000 + seed) for seed in range(4)]
    assert all(run.reverted for run in runs)
    assert unit.bar is None or np.median(tables.until_fail(runs, unit.field)) <= unit.bar


@named(scenarios.FAULTS)
def test_a_fault_of_the_surroundings_neither_promotes_nor_reverts_and_is_told(scenario: Scenario) -> None:
    told = {
        "metric source gone half-way": "source_missing",
        "no traffic": "too_few_requests",
        "values not a number half-way": "not_a_number",
        "router ignores the weight": "share_not_confirmed",
        "labels stalled": "labels_stalled",
        "latency not measured": "not_measured",
    }
    stages = run(replace(scenario, watched=0), 1).stages
    assert {stage.verdict for stage in stages} == {Verdict.INCONCLUSIVE}
    assert {stage.reason for stage in stages} == {told[scenario.name]}


class TestRawRule:
    def test_a_better_model_whose_mean_score_falls_as_predicted_is_not_reverted_by_our_gates(self) -> None:
        assert not any(run(short(scenarios.RIGHTLY[0]), seed).reverted for seed in range(4))

    def test_the_raw_rule_reverts_it_at_the_mirror(self) -> None:
        ends = [run(short(scenarios.RIGHTLY[1], stages=(0,)), seed).stages[-1] for seed in range(4)]
        assert {end.gate for end in ends} == {"raw_score_mean"}


def as_tuples(value: Any) -> Any:
    """A reading with tuples in place of arrays, as a meter makes it."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: as_tuples(getattr(value, f.name)) for f in fields(value)})
    return {key: as_tuples(inner) for key, inner in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("index", [0, 2, 4])
def test_arrays_in_a_reading_are_judged_like_a_meters_tuples(index: int) -> None:
    scenario = scenarios.HEALTHY[1]
    stage = scenario.release.stages[index]
    readings, _ = Ledger(World(scenario.surroundings, 5), 0.5).record(12, stage.weight or 0)
    baseline, due = next(readings), prediction(scenario, 5)
    one = open_case(scenario.release, stage, due, baseline, (0.0, 1.0))
    other = open_case(scenario.release, stage, due, as_tuples(baseline), (0.0, 1.0))
    for reading in readings:
        one, other = add(one, reading), add(other, as_tuples(reading))
        assert judge(one).to_dict() == judge(other).to_dict()


class TestTables:
    def test_the_interval_of_no_event_in_twenty_is_the_exact_one(self) -> None:
        low, high = tables.clopper_pearson(0, 20)
        assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))

    def test_the_interval_of_four_events_in_twenty_is_that_of_clopper_and_pearson(self) -> None:
        assert tables.clopper_pearson(4, 20) == pytest.approx((0.057334, 0.436614), abs=1e-6)

    def test_a_harm_that_is_not_always_found_has_no_ninetieth_percentile(self) -> None:
        assert tables.middle([1.0, 2.0, 3.0, np.inf, np.inf]) == "3 / not found"
