"""How long a breach lasted is told from the servers' logs: it begins when the evidence sufficed, however late somebody looked."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluicegate.actions.release import deploy, open_rollout, promote, revert
from sluicegate.domain.evidence import SCORE_BINS, ArmCounters, GatewayCounters, PairCounters, Reading
from sluicegate.domain.route import BUCKETS, bucket
from sluicegate.domain.spec import parse_spec
from sluicegate.ports.meter import LabelWindow
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import MODEL, PREDICTED, SPEC, enter, watch_until_decided
from sluicegate_demo.breach import answers, breach

EACH_S = 0.01
"""Every so often one user is answered by each version."""
HARM_AFTER_S = 6.0


@dataclass
class LoggedMeter:
    """Counters of what the logs show, as they were `late` seconds ago: what a Prometheus has scraped."""

    entries: dict[str, list[dict[str, Any]]]
    clock: Any
    late: float

    def read(self, route: Any, *, since: float, labels: LabelWindow | None = None) -> Reading:
        now = self.clock.now()
        old, new = (counted(self.entries[version], now - self.late) for version in ("1", "2"))
        gateway = GatewayCounters(0.0, sum(old.requests), 0, sum(new.requests), 0)
        nothing: Any = (0,) * BUCKETS
        pairs = PairCounters(0.0, *(nothing,) * 9, (0,) * SCORE_BINS, (0,) * SCORE_BINS)
        return Reading(now, old, new, pairs, gateway, mirror=new)


def counted(entries: Iterable[dict[str, Any]], until: float) -> ArmCounters:
    requests, slow = [0] * BUCKETS, [0] * BUCKETS
    for entry in entries:
        if entry["asked_at"] + entry["latency_us"] / 1e6 <= until:
            requests[bucket(entry["user"])] += 1
            slow[bucket(entry["user"])] += entry["latency_us"] > 25_000
    zero: Any = (0,) * BUCKETS
    sums: Any = tuple(0.3 * n for n in requests)
    histogram = (0,) * 59 + (sum(requests),) + (0,) * (SCORE_BINS - 60)
    return ArmCounters(0.0, tuple(requests), zero, zero, sums, sums, {"25": tuple(slow)}, histogram)


def logged(begin: float, seconds: float, slow_from: float) -> list[dict[str, Any]]:
    times = [begin + n * EACH_S for n in range(int(seconds / EACH_S))]
    latency = [(60_000 if at >= slow_from else 2_000) for at in times]
    return [
        {"role": "answer", "user": f"u{n}", "score": 0.3, "decision": False, "latency_us": took, "asked_at": at}
        for n, (at, took) in enumerate(zip(times, latency, strict=True))
    ]


class Told:
    """A rollout whose candidate becomes slow, and its logs."""

    def __init__(self, folder: Path, late: float) -> None:
        stages = [{"weight": 50, "bake": "60s", "deadline": "120s", "min_requests": 20}, {"weight": 100}]
        release = {**SPEC["release"], "stages": stages, "gates": {"p95_ms": 25}}
        ports = FakePorts(parse_spec({**SPEC, "release": release}, "toy/spec.yaml"))
        for version in ("1", "2"):
            ports.register(version, predicted=PREDICTED)
        first = open_rollout(ports, MODEL, "1", author="test", run_id="first").rollout_id
        deploy(ports, MODEL, first, author="test")
        promote(ports, MODEL, first, author="test")
        begin = ports.clock.now()
        self.harm_at = begin + HARM_AFTER_S
        entries = {"1": logged(begin, 20.0, begin + 20.0), "2": logged(begin, 20.0, self.harm_at)}
        ports.meter = LoggedMeter(entries, ports.clock, late)
        self.rollout_id = open_rollout(ports, MODEL, "2", author="test", run_id="second").rollout_id
        deploy(ports, MODEL, self.rollout_id, author="test")
        self.decision = watch_until_decided(ports, enter(ports, self.rollout_id, 0))
        self.cut_at = ports.clock.now()
        revert(ports, MODEL, self.rollout_id, author="test", reason="slower_than_bound")
        ports.requests = Logs(folder, entries, self.cut_at)
        self.found = breach(ports, MODEL, self.rollout_id)


class Logs:
    """Each version's log in a folder of its name; the candidate's ends with the cut."""

    def __init__(self, folder: Path, entries: dict[str, list[dict[str, Any]]], cut_at: float) -> None:
        self.paths = [folder / version / "log.jsonl" for version in entries]
        for path, kept in zip(self.paths, entries.values(), strict=True):
            path.parent.mkdir(parents=True)
            served = (e for e in kept if path.parent.name == "1" or e["asked_at"] <= cut_at)
            path.write_text("".join(json.dumps(e) + "\n" for e in served) + '{"role": "answer", "torn')

    def served(self, model: str) -> list[Path]:
        return self.paths


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Told]:
    """By how old a reading's counters are, seconds."""
    return {late: Told(tmp_path_factory.mktemp(f"late{late:g}"), late) for late in (0.0, 2.0)}


def test_a_breach_begins_soon_after_the_harm_and_ends_with_the_last_request(told: dict[float, Told]) -> None:
    one = told[0.0]
    assert one.decision == "fail"
    assert one.found is not None
    assert 0 < one.found.began_at - one.harm_at < 1.0
    assert one.found.last_candidate_request_at == pytest.approx(one.cut_at, abs=2 * EACH_S)


def test_counters_that_are_older_make_the_sensor_later_and_not_the_breach_shorter(told: dict[float, Told]) -> None:
    fresh, old = told[0.0].found, told[2.0].found
    assert fresh is not None
    assert old is not None
    assert old.began_at == pytest.approx(fresh.began_at, abs=0.1)
    assert old.sensor_ms - fresh.sensor_ms == pytest.approx(2000, abs=600)


def test_sensor_and_cut_are_the_two_parts_of_a_breach(told: dict[float, Told]) -> None:
    for one in told.values():
        assert one.found is not None
        assert one.found.sensor_ms + one.found.cut_ms == pytest.approx(one.found.to_zero_ms, abs=0.2)


def test_answers_are_counted_without_a_torn_last_line(told: dict[float, Told], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"role": "answer"}\n{"role": "mirror"}\n{"role": "answer"}\n{"role": "ans')
    assert answers([log]) == 2
