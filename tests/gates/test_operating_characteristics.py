"""A small run of the published simulation: what docs/judge.md claims, within the binomial error of so few runs."""

import importlib.util
import sys
from math import sqrt
from pathlib import Path

import pytest

from sluicegate.domain.verdict import Verdict


@pytest.fixture(scope="module")
def simulation():
    path = Path(__file__).parents[2] / "benchmarks" / "judge_operating_characteristics.py"
    spec = importlib.util.spec_from_file_location("judge_operating_characteristics", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("row", range(5))
def test_each_test_alone_is_wrong_in_at_most_alpha_of_streams(simulation, row):
    number = 80
    allowed = 0.05 + 3 * sqrt(0.05 * 0.95 / number)
    wrong = simulation.streams(simulation.DEPENDENCE[row], number, 24, seed=11)
    assert max(wrong.values()) <= allowed, wrong


def test_a_variance_over_requests_instead_of_users_would_be_wrong_far_more_often(simulation, monkeypatch):
    def independent(total, units):
        return (0.02 / units.sum(axis=-1)) ** 0.5

    monkeypatch.setattr(simulation.bounds, "ratio_standard_error", independent)
    few_users = simulation.Dependence("few users", users_per_bucket=1)
    assert simulation.streams(few_users, 80, 60, seed=12)["pairs"] > 0.3


@pytest.mark.parametrize("index", range(4))
def test_a_healthy_candidate_is_not_reverted(simulation, index):
    runs = [simulation.rollout(index, seed) for seed in (1, 2)]
    assert all(run[-1].verdict is not Verdict.FAIL for run in runs)


@pytest.mark.parametrize("index", range(9))
def test_a_harmful_candidate_is_found(simulation, index):
    first = len(simulation.HEALTHY)
    assert simulation.rollout(first + index, 3)[-1].verdict is Verdict.FAIL


@pytest.mark.parametrize("index", range(3))
def test_a_fault_of_the_surroundings_neither_promotes_nor_reverts(simulation, index):
    first = len(simulation.HEALTHY) + len(simulation.HARMS)
    assert simulation.rollout(first + index, 4)[-1].verdict is Verdict.INCONCLUSIVE
