"""What one request costs, what its answer is worth, and which segments it belongs to, as the server counts it."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.serving.test_service import MOODY, Bench

from sluicegate.domain.evidence import SEGMENT_BUCKETS, Reading, Segment
from sluicegate.domain.route import BUCKETS, bucket
from sluicegate.serving.segments import MOST_VALUES
from sluicegate.testing.package import SPEC, toy_package, toy_row


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, toy_package(tmp_path, features=MOODY).folder)


WORTH = (
    MOODY
    + """
def value(row, decision):
    if row["distance"] == 6000:
        raise ValueError("worthless")
    return row["distance"] if decision else -1.0
"""
)


class TestCost:
    def test_busy_and_processor_time_are_counted_for_scores_and_failures_and_not_for_refusals(self, bench: Bench) -> None:
        bench.ask(toy_row(1) | {"distance": "far"})
        assert sum(bench.arm()["busy_sum"]) == sum(bench.arm()["cpu_sum"]) == 0
        bench.ask(toy_row(1))
        bench.ask(toy_row(2) | {"distance": 13})
        for spent in ("busy_sum", "cpu_sum"):
            assert [n for n, s in enumerate(bench.arm()[spent]) if s > 0] == sorted((bucket("N1"), bucket("N2")))

    def test_waiting_for_a_turn_is_latency_but_not_work_and_sleep_is_work_but_no_processor_time(self, tmp_path: Path) -> None:
        idle = "import time\ndef features(row):\n    time.sleep(0.05)\n    return {'distance': 1.0, 'wind': 0.0}\n"
        bench = Bench(tmp_path, toy_package(tmp_path, features=idle).folder)
        now = time.time()
        bench.ask(toy_row(1), now, x_sluicegate_start=str(int((now - 5) * 1e6)))
        assert bench.logged()[0]["latency_us"] > 5e6
        assert 0.05 <= sum(bench.arm()["busy_sum"]) < 5
        assert sum(bench.arm()["cpu_sum"]) < 0.05

    def test_every_role_tells_the_memory_and_processor_time_of_the_whole_process(self, bench: Bench) -> None:
        answer, mirror = bench.arm(), bench.arm("mirror")
        assert 10e6 < answer["memory_bytes"] < 100e9
        assert 0 < answer["cpu_seconds"] <= mirror["cpu_seconds"]


class TestValue:
    def test_the_value_of_answers_is_counted_by_bucket(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, toy_package(tmp_path, features=WORTH, golden=20).folder)
        assert bench.arm()["value_sum"] == [0.0] * BUCKETS
        for number in range(12):
            bench.ask(toy_row(number))
        decided = {line["user"]: line["inputs"]["distance"] if line["decision"] else -1.0 for line in bench.logged()}
        assert sum(bench.arm()["value_sum"]) == pytest.approx(sum(decided.values()))
        assert sum(bench.arm()["value_square_sum"]) == pytest.approx(sum(v * v for v in decided.values()))
        assert bench.arm()["value_sum"][bucket("N3")] == pytest.approx(decided["N3"])

    def test_a_value_that_fails_leaves_the_answer_and_is_told_once_and_never_counted_as_zero(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, toy_package(tmp_path, features=WORTH).folder)
        far = toy_row(3) | {"distance": 6000}
        statuses = {bench.ask(row)[0] for row in (toy_row(1), far, far, toy_row(2))}
        assert (statuses, sum(bench.arm()["errors"]), bench.arm()["value_sum"]) == ({200}, 0, [])
        assert len(bench.told) == 1
        assert "for row 'r3': ValueError: worthless; what this version's answers are worth is not known" in bench.told[0]

    def test_a_model_without_value_tells_none(self, bench: Bench) -> None:
        bench.ask(toy_row(1))
        assert bench.arm()["value_sum"] == []


class TestSegments:
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        spec = SPEC.replace("stages: [{weight: 100}]", "stages: [{weight: 100}]\n  segments: [carrier, stops]")
        return Bench(tmp_path, toy_package(tmp_path, features=MOODY, spec=spec).folder)

    def segments(self, bench: Bench, role: str = "answer") -> Mapping[str, Segment]:
        arm = Reading.from_dict({"taken_at": 0, "champion": bench.arm(role)}).champion
        assert arm is not None
        return arm.segments

    def test_each_value_of_a_segment_field_is_counted_apart_with_its_errors_slow_ones_and_decisions(self, bench: Bench) -> None:
        now = time.time()
        bench.ask(toy_row(1) | {"carrier": "AA", "distance": 6000, "wind": 0})
        bench.ask(toy_row(2) | {"carrier": "AA", "distance": 13})
        bench.ask(toy_row(3) | {"carrier": "UA"}, now, x_sluicegate_start=str(int((now - 0.5) * 1e6)))
        bench.ask(toy_row(4))
        seen = self.segments(bench)
        assert {name: sum(s.requests) for name, s in seen.items() if "carrier" in name} == {
            "carrier=AA": 2,
            "carrier=UA": 1,
            "carrier=(missing)": 1,
        }
        assert {name for name in seen if "stops" in name} == {"stops=(missing)"}
        aa, ua = seen["carrier=AA"], seen["carrier=UA"]
        assert (sum(aa.errors), sum(aa.decisions), sum(aa.slow["25"]), sum(ua.slow["25"])) == (1, 1, 0, 1)
        assert aa.requests[bucket("N1") % SEGMENT_BUCKETS] >= 1

    def test_a_field_of_many_values_keeps_those_that_came_first(self, bench: Bench) -> None:
        for number in range(100):
            bench.ask(toy_row(number) | {"stops": number % 50})
        stops = {name: sum(s.requests) for name, s in self.segments(bench).items() if name.startswith("stops")}
        assert stops == {f"stops={number}": 2 for number in range(MOST_VALUES)}

    def test_copies_are_counted_in_segments_of_their_own_role(self, bench: Bench) -> None:
        bench.ask(toy_row(1) | {"carrier": "AA"}, host="gateway-shadow")
        assert set(self.segments(bench, "mirror")) == {"carrier=AA", "stops=(missing)"}
        assert self.segments(bench) == {}
