"""A small world in which rollouts happen over the fakes on a virtual clock: version 1 is champion, 2 and 3 are registered."""

from collections.abc import Mapping
from typing import Any

from sluicegate.actions.release import Watch, deploy, enter_stage, open_rollout, open_watch, promote
from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.domain.spec import parse_spec
from sluicegate.testing.ports import FakePorts

MODEL = "toy"
SPEC: Mapping[str, Any] = {
    "model": MODEL,
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {
        "stages": [
            {"mirror": 50, "bake": "5s", "min_requests": 100},
            {"weight": 10, "bake": "5s", "min_requests": 20},
            {"weight": 50, "bake": "5s", "min_requests": 100, "deadline": "60s"},
            {"weight": 100, "bake": "5s"},
        ],
        "gates": {"p95_ms": 25, "error_rate": {"margin": 0.02}},
        "look_every": "500ms",
        "lease": "10s",
    },
}
BRIEF: Mapping[str, Any] = {**SPEC, "release": {"stages": [{"mirror": 50}, {"weight": 100}], "gates": {"error_rate": {}}}}
"""The same model with the shortest plan."""
PREDICTED: Mapping[str, Any] = {
    "rows": 10_000,
    "mean_score": 0.3,
    "decision_rate": 0.2,
    "histogram": [1 / SCORE_BINS] * SCORE_BINS,
    "champion_mean_score": 0.3,
    "champion_decision_rate": 0.2,
}


def world(stages: Mapping[int, Mapping[str, Any]] | None = None, **release: Any) -> FakePorts:
    """The world, with changes to single stages of the plan (by index) and to the keys of `release`."""
    plan = [{**stage, **(stages or {}).get(i, {})} for i, stage in enumerate(SPEC["release"]["stages"])]
    ports = FakePorts(parse_spec({**SPEC, "release": {**SPEC["release"], "stages": plan, **release}}, "toy/spec.yaml"))
    for version in ("1", "2", "3"):
        ports.register(version, predicted=PREDICTED)
    first = open_rollout(ports, MODEL, "1", author="test", run_id="first").rollout_id
    deploy(ports, MODEL, first, author="test")
    promote(ports, MODEL, first, author="test")
    return ports


def begin(ports: FakePorts, version: str = "2") -> str:
    """A deployed rollout of the version; its id."""
    opened = open_rollout(ports, MODEL, version, author="test", run_id=f"run-{version}")
    deploy(ports, MODEL, opened.rollout_id, author="test")
    return opened.rollout_id


def watch_until_decided(ports: FakePorts, watch: Watch, looks: int = 400) -> str:
    """Look every half second of virtual time; the decision, or `never`."""
    for _ in range(looks):
        ports.clock.sleep(watch.look_every)
        look = watch.look()
        if look.decided:
            return look.decision
    return "never"


def enter(ports: FakePorts, rollout_id: str, index: int) -> Watch:
    """Enter the stage and begin to watch it."""
    enter_stage(ports, MODEL, rollout_id, index, author="test")
    return open_watch(ports, MODEL, rollout_id, index, author="test")


def pass_stages(ports: FakePorts, rollout_id: str, upto: int) -> None:
    """Go through the stages before index `upto`, each with a PASS."""
    for index in range(upto):
        decision = watch_until_decided(ports, enter(ports, rollout_id, index))
        if decision != "pass":
            raise AssertionError(f"stage {index} of a healthy candidate ended with '{decision}'")


def weight(ports: FakePorts) -> int:
    """What the gateway gives the candidate now, percent."""
    route = ports.router.read(MODEL)
    return -1 if route is None else route.weight
