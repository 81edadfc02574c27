"""What every Meter keeps, whatever it reads. Subclass it and give it a `world` fixture.

class TestMyMeter(MeterContract):
    @pytest.fixture
    def world(self) -> MeterWorld: ...
"""

import json
from typing import Protocol

from sluicegate.domain.evidence import ArmCounters, Reading
from sluicegate.domain.gate_spec import LabelsGate
from sluicegate.domain.route import BUCKETS, Route
from sluicegate.ports.meter import LabelWindow, Meter

GROWING = ("requests", "errors", "decisions", "busy_sum", "cpu_sum")
"""Fields of an arm that may not fall while its process lives."""
GATE = LabelsGate.model_validate({"margin": 0.05, "within": 0.0})
"""Every outcome is late at once, so that what is due is all that was answered."""
FEATURES = """\
def features(row):
    if row["distance"] == 13:
        raise ValueError("unlucky")
    return {"distance": row["distance"] / 1000, "wind": 0.0}


def value(row, decision):
    return row["distance"] if decision else 1.0
"""
"""Of a world with real servers: one request that errs, and a value."""


class MeterWorld(Protocol):
    """A champion and a candidate that serve, with a value, the latency bound 25 ms and the segment field `site`."""

    @property
    def meter(self) -> Meter: ...
    @property
    def route(self) -> Route: ...
    def serve(self) -> None:
        """Let users and copies be answered by both versions, some with an error. Returns when the meter can see it."""
        ...

    def label(self) -> None:
        """Let the outcome of every answer so far become known."""
        ...

    def lose_candidate(self) -> None:
        """Let the candidate's counters be gone."""
        ...


def arms(reading: Reading) -> list[ArmCounters]:
    """Champion, candidate, and the candidate on copies."""
    found = (reading.champion, reading.candidate, reading.mirror)
    return [arm for arm in found if arm is not None]


class MeterContract:
    """The suite."""

    def test_counters_only_grow_and_say_since_when(self, world: MeterWorld) -> None:
        before = world.meter.read(world.route, since=0.0)
        world.serve()
        after = world.meter.read(world.route, since=0.0)
        assert len(arms(before)) == len(arms(after)) == 3
        for old, new in zip(arms(before), arms(after), strict=True):
            assert new.started_at == old.started_at
            assert sum(new.requests) > sum(old.requests)
            for name in GROWING:
                assert all(b >= a for a, b in zip(getattr(old, name), getattr(new, name), strict=True))

    def test_every_answer_costs_time_and_is_worth_something_in_its_users_bucket(self, world: MeterWorld) -> None:
        world.serve()
        for arm in arms(world.meter.read(world.route, since=0.0)):
            assert len(arm.value_sum) == len(arm.value_square_sum) == len(arm.busy_sum) == len(arm.cpu_sum) == BUCKETS
            assert min(sum(arm.busy_sum), sum(arm.cpu_sum), sum(arm.value_square_sum)) > 0
            assert arm.memory_bytes is not None
            assert arm.memory_bytes > 1e6

    def test_segments_are_parts_of_the_whole(self, world: MeterWorld) -> None:
        world.serve()
        for arm in arms(world.meter.read(world.route, since=0.0)):
            sites = [segment for name, segment in arm.segments.items() if name.startswith("site=")]
            assert sites
            assert sum(sum(site.requests) for site in sites) == sum(arm.requests)
            assert all(sum(site.errors) <= sum(site.requests) for site in sites)
            assert all(site.slow.keys() == arm.slow.keys() == {"25"} for site in sites)

    def test_outcomes_are_counted_when_they_are_asked_for_and_only_then(self, world: MeterWorld) -> None:
        world.serve()
        window = LabelWindow(GATE, since=0.0)
        assert world.meter.read(world.route, since=0.0).labels is None
        before = world.meter.read(world.route, since=0.0, labels=window).labels
        world.label()
        after = world.meter.read(world.route, since=0.0, labels=window).labels
        assert before is not None
        assert after is not None
        assert (sum(before.champion), sum(before.candidate), before.newest) == (0, 0, None)
        assert min(sum(after.champion), sum(after.candidate), sum(after.pairs)) > 0
        assert after.due >= sum(after.champion) + sum(after.candidate) - 1
        assert after.newest is not None
        assert sum(after.pairs) <= sum(after.champion)

    def test_what_is_gone_is_none_and_named_and_never_zero(self, world: MeterWorld) -> None:
        world.serve()
        world.lose_candidate()
        reading = world.meter.read(world.route, since=0.0)
        assert (reading.candidate, reading.mirror) == (None, None)
        assert reading.missing

    def test_a_reading_survives_the_journal_to_the_last_bit(self, world: MeterWorld) -> None:
        world.serve()
        world.label()
        reading = world.meter.read(world.route, since=0.0, labels=LabelWindow(GATE, since=0.0))
        assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading
