"""What a pod asks of its node: amounts with their units, names that a cluster accepts, and one sentence for everything else."""

from copy import deepcopy
from typing import Any

import pytest

from sluicegate.domain.resources import Resources, in_bytes, size
from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.errors import SpecError

SPEC: dict[str, Any] = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {"stages": [{"weight": 100}], "gates": {"p95_ms": 80}},
}


def parsed(training: dict[str, Any] | None = None, every: dict[str, Any] | None = None) -> ModelSpec:
    spec = deepcopy(SPEC)
    if training is not None:
        spec["training"]["resources"] = training
    if every is not None:
        spec["resources"] = every
    return parse_spec(spec, "toy/spec.yaml")


def test_a_spec_that_says_nothing_gets_modest_pods_without_a_gpu() -> None:
    spec = parsed()
    assert spec.resources == Resources(cpu="0.5", memory="2Gi", disk="4Gi", gpu=0, deadline=43200.0)
    assert spec.training.resources is None


@pytest.mark.parametrize(("amount", "number"), [("512Mi", 536_870_912), ("1Ki", 1024), ("7G", 7_000_000_000), ("3k", 3000)])
def test_an_amount_is_so_many_bytes(amount: str, number: int) -> None:
    assert in_bytes(size(amount)) == number


def test_training_may_have_pods_of_its_own() -> None:
    tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    mine = {"cpu": 4, "memory": "16Gi", "gpu": 1, "deadline": "2h", "node_selector": {"pool": "gpu"}, "tolerations": tolerated}
    spec = parsed(training=mine, every={"memory": "1Gi"})
    assert spec.training.resources is not None
    assert (spec.training.resources.cpu, spec.training.resources.gpu, spec.training.resources.deadline) == ("4", 1, 7200.0)
    assert (spec.resources.memory, spec.resources.gpu) == ("1Gi", 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cpu": 0}, "'training.resources.cpu' is 0: processor time is a number of cores"),
        ({"cpu": "two"}, "processor time is a number of cores"),
        ({"cpu": True}, "processor time is a number of cores"),
        ({"memory": 4}, "'training.resources.memory' is 4: an amount of memory or disk is a whole number with its unit"),
        ({"memory": "4 GiB"}, "such as 512Mi or 4Gi"),
        ({"disk": "0Gi"}, "such as 512Mi or 4Gi"),
        ({"gpu": -1}, "greater than or equal to 0"),
        ({"gpu": 1.5}, "'training.resources.gpu' is 1.5"),
        ({"gpu_name": "gpu"}, "has a domain before a slash"),
        ({"deadline": 0}, "greater than 0"),
        ({"node_selector": {"pool\n": "gpu"}}, "is no label of a node"),
        ({"node_selector": {"pool": "$(reboot)"}}, "is no label of a node"),
        ({"node_selector": {"pool": "x" * 300}}, "is no label of a node"),
        ({"tolerations": [{"key": "a b", "operator": "Exists"}]}, "name of a taint"),
        ({"tolerations": [{"key": "a", "value": "' or 1"}]}, "at most 63 letters"),
        ({"tolerations": [{"operator": "Exists", "value": "x"}]}, "has no value"),
        ({"tolerations": [{"value": "x"}]}, "tolerates everything"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "NoSchedule"),
        ({"ram": "4Gi"}, "valid keys here are cpu, deadline, disk, gpu, gpu_name, memory, node_selector, tolerations"),
    ],
)
def test_what_no_cluster_would_take_is_refused_when_the_spec_is_read(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as refused:
        parsed(training=wrong)
    assert words in str(refused.value)
    assert str(refused.value).count("\n") == 0
