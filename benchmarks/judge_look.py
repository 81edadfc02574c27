"""What one look costs the judge: `add` and `judge` on 200 buckets, by number of gates. CPU time, so other work does not count.

python benchmarks/judge_look.py
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sluicegate.domain.evidence import Predicted, Reading
from sluicegate.domain.spec import Release
from sluicegate.gates import add, judge, open_case
from sluicegate.testing.evidence import Behaviour, Service, constant, enriched

LOOKS = 300
FOUR: dict[str, Any] = {"p95_ms": 25, "error_rate": {}, "score": {"margin": 0.03}, "decision_rate": {}}
EIGHT = FOUR | {"throughput": {}, "cpu_ms": {}, "memory_mb": 500, "value": {"margin": "5%"}}
TWELVE = EIGHT | {
    "labels": {"margin": 0.02, "within": 60},
    "raw_score_mean": {"within": "5%"},
    "raw_decision_rate": {"within": "1pp"},
}
PLANS: tuple[tuple[str, dict[str, Any], Sequence[str]], ...] = (
    ("4 gates", FOUR, ()),
    ("8 gates", EIGHT, ()),
    ("12 gates, one of them over segments", TWELVE, ("carrier",)),
)


def stream() -> tuple[Predicted, list[Reading]]:
    """A prediction and the readings of one stage at 50 %, mirrored by half."""
    service = Service(1, Behaviour(slow=constant(0.01)), Behaviour(slow=constant(0.01), shift=-0.02, noise=0.1))
    stage = Release.model_validate({"stages": [{"weight": 50}, {"weight": 100}], "gates": FOUR}).stages[0]
    return service.predicted(), [enriched(reading) for reading in service.readings(stage, LOOKS / 2)]


def look_ms(gates: dict[str, Any], segments: Sequence[str], told: Predicted, readings: list[Reading]) -> np.ndarray:
    """CPU milliseconds of each look."""
    release = Release.model_validate({"stages": [{"weight": 50}, {"weight": 100}], "gates": gates, "segments": segments})
    case = open_case(release, release.stages[0], told, readings[0], (0.0, 1.0))
    spent = []
    for reading in readings[1:]:
        began = time.process_time()
        case = add(case, reading)
        judge(case)
        spent.append(1000 * (time.process_time() - began))
    return np.array(spent)


def main() -> None:
    told, readings = stream()
    print("| judge, one look over 200 buckets | CPU ms, median | CPU ms, 99th percentile |\n|---|---|---|")
    for name, gates, segments in PLANS:
        spent = look_ms(gates, segments, told, readings)
        print(f"| {name} | {np.median(spent):.2f} | {np.quantile(spent, 0.99):.2f} |")


if __name__ == "__main__":
    main()
