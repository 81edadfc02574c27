"""Readings survive JSON whole, and what was journaled before a field existed still reads."""

import json

from sluicegate.domain.evidence import ArmCounters, LabelCounters, Predicted, Reading, Segment, SegmentPrediction

ARM = ArmCounters(1.0, (3, 4), (0, 1), (1, 1), (0.1, 0.2), (0.01, 0.02), {"25": (1, 0)}, (7,))
FULL = ArmCounters(
    1.0,
    (3, 4),
    (0, 1),
    (1, 1),
    (0.1, 0.2),
    (0.01, 0.02),
    {"25": (1, 0)},
    (7,),
    value_sum=(1.5, -2.0),
    value_square_sum=(2.25, 4.0),
    busy_sum=(0.3, 0.4),
    cpu_sum=(0.1, 0.2),
    segments={"carrier=AA": Segment((2, 1), (0, 1), (1, 0), {"25": (0, 1)})},
    cpu_seconds=12.5,
    memory_bytes=3e8,
)
LABELS = LabelCounters(0.0, (2,), (0.3,), (0.1,), (1,), (0.2,), (0.04,), (1,), (0.05,), (0.01,), due=5, newest=99.0)


def test_a_reading_with_every_field_survives_json() -> None:
    reading = Reading(5.0, FULL, FULL, mirror=FULL, labels=LABELS, missing=("x",))
    assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading


def test_a_reading_journaled_before_the_newer_fields_reads_as_not_measured() -> None:
    newer = ("value_sum", "value_square_sum", "busy_sum", "cpu_sum", "segments", "cpu_seconds", "memory_bytes")
    old = json.loads(json.dumps(Reading(5.0, ARM, ARM).to_dict()))
    for arm in ("champion", "candidate"):
        old[arm] = {name: value for name, value in old[arm].items() if name not in newer}
    del old["labels"]
    assert Reading.from_dict(old) == Reading(5.0, ARM, ARM)


def test_a_prediction_with_segments_survives_json_and_one_without_still_reads() -> None:
    told = Predicted(10, 0.3, 0.2, (0.5, 0.5), segments={"carrier=AA": SegmentPrediction(5, -0.1)})
    raw = json.loads(json.dumps(told, default=lambda value: value.__dict__))
    assert Predicted.from_dict(raw) == told
    del raw["segments"]
    assert Predicted.from_dict(raw).segments == {}
