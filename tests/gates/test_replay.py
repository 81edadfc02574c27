"""The journaled readings alone give the same verdicts bit for bit: in another process, hash seed, thread count and processor."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from sluicegate.domain.evidence import Predicted, Reading
from sluicegate.domain.spec import Release
from sluicegate.gates import add, judge, open_case
from sluicegate.testing.evidence import Behaviour, Service, constant, enriched

RELEASE = Release.model_validate(
    {
        "stages": [{"mirror": 50, "bake": 2}, *({"weight": w, "bake": 2, "min_requests": 20} for w in (5, 50, 100))],
        "gates": {
            "p95_ms": 25,
            "error_rate": {"margin": "1pp"},
            "score": {"margin": 0.03, "mass": "5%"},
            "decision_rate": {"margin": "3pp", "any_harm": True},
            "throughput": {},
            "cpu_ms": {},
            "memory_mb": 500,
            "value": {"margin": "5%"},
            "labels": {"margin": 0.02, "within": 10},
            "raw_score_mean": {"within": "5%"},
            "raw_decision_rate": {"within": "1pp"},
        },
        "segments": ["carrier"],
    }
)
REPLAY = "import json, sys, test_replay; [print(json.dumps(test_replay.verdicts(told))) for told in json.load(sys.stdin)]"


def verdicts(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The verdicts of a stage from its journaled readings alone."""
    release = Release.model_validate(told["release"])
    first, *rest = (Reading.from_dict(raw) for raw in told["readings"])
    case = open_case(release, release.stages[told["stage"]], Predicted.from_dict(told["predicted"]), first, (0.0, 1.0))
    said = []
    for reading in rest:
        case = add(case, reading)
        said.append(judge(case).to_dict())
    return said


def journaled(stage: int) -> dict[str, Any]:
    """The readings of a stage of a simulated service, as the journal has them."""
    candidate = Behaviour(slow=constant(0.02), errors=constant(0.003), shift=-0.02, noise=0.1, user_noise=0.05)
    service = Service(7, Behaviour(slow=constant(0.01)), candidate, mirror_while_split=50 if stage != 1 else 0)
    told = service.predicted()
    readings = [enriched(reading) for reading in service.readings(RELEASE.stages[stage], 12)]
    predicted = {**told.__dict__, "segments": {"carrier=UA": {"rows": 900, "decision_difference": 0.01}}}
    raw = {"release": RELEASE.model_dump(mode="json"), "stage": stage, "predicted": predicted}
    return raw | {"readings": [reading.to_dict() for reading in readings]}


def replayed(journal: str, **environment: str) -> list[str]:
    """What another process reads out of the journal, a line a stage."""
    here = {"PYTHONPATH": str(Path(__file__).parent)} | environment
    command = [sys.executable, "-c", REPLAY]
    return subprocess.run(
        command, input=journal, env=os.environ | here, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def another_processor() -> str:
    """The vector instructions of this processor that a lesser one would not have."""
    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name])


@pytest.mark.slow
def test_another_process_and_another_processor_reach_the_same_verdicts_bit_for_bit():
    journal = json.dumps([journaled(stage) for stage in range(len(RELEASE.stages))])
    here = [json.dumps(verdicts(told)) for told in json.loads(journal)]
    assert [len(json.loads(stage)) for stage in here] == [24] * 4
    assert replayed(journal, PYTHONHASHSEED="1", OMP_NUM_THREADS="1") == here
    lesser = {"NPY_DISABLE_CPU_FEATURES": another_processor()}
    assert replayed(journal, PYTHONHASHSEED="2", OMP_NUM_THREADS="4", **lesser) == here
