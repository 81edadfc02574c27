"""Each gate holds, passes and fails on live traffic: a real Envoy, real servers, real clients, labels through the real ingest.
What cannot be known neither passes nor fails, says why, and goes on by itself.

The candidate misbehaves in its own features.py, as a user's would, in a mood that comes with the requests; the champion has none.
"""

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.gates.live import Rig, Stage, gate, load, running_rig

from sluicegate.adapters.local_meter import LocalMeter
from sluicegate.domain.verdict import StageVerdict, Verdict

pytestmark = pytest.mark.gateway
GATES = (
    *("p95_ms", "error_rate", "score", "decision_rate", "throughput", "cpu_ms", "memory_mb", "value"),
    *("labels", "segments", "raw_score_mean", "raw_decision_rate"),
)

COSTS = ("throughput", "cpu_ms", "value", "memory_mb")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running_rig(tmp_path_factory.mktemp("live")) as running:
        yield running


def test_every_gate_holds_at_first_and_passes_a_healthy_candidate(rig: Rig) -> None:
    stage = Stage(rig)
    first = stage.look()

    def passed() -> set[str]:
        return {name for name, told in stage.seen.items() if any(one.startswith("PASS") for one in told)}

    with load(rig, "well") as clients:
        stage.until(lambda _: passed() == set(GATES), labels=True)
    assert {g.gate: g.verdict for g in first.gates} == dict.fromkeys(GATES, Verdict.INCONCLUSIVE)
    assert passed() == set(GATES)
    assert not [(name, one) for name, told in stage.seen.items() for one in told if one.startswith("FAIL")]
    assert clients.failures == []


@pytest.mark.parametrize(
    ("mood", "harmed"),
    [
        ("slow", ("p95_ms",)),
        ("raise", ("error_rate",)),
        ("shift", ("score", "decision_rate", "raw_score_mean", "raw_decision_rate")),
        ("nap", ("throughput",)),
        ("burn", ("cpu_ms",)),
        ("cheap", ("value",)),
        ("wrong", ("labels",)),
        ("raise at b", ("segments",)),
    ],
)
def test_a_candidate_that_misbehaves_fails_the_gate_that_looks_for_it(rig: Rig, mood: str, harmed: tuple[str, ...]) -> None:
    def proven(verdict: StageVerdict) -> bool:
        return all(gate(verdict, name).verdict is Verdict.FAIL for name in harmed)

    stage = Stage(rig)
    with load(rig, mood) as clients:
        verdict = stage.until(proven, labels=mood == "wrong")
    assert {name: gate(verdict, name).verdict for name in harmed} == dict.fromkeys(harmed, Verdict.FAIL), verdict.message
    assert verdict.verdict is Verdict.FAIL
    assert clients.failures == []  # what the candidate fails, the champion answers


def test_servers_that_hang_are_no_evidence_and_the_stage_goes_on_when_they_are_back(rig: Rig) -> None:
    stage = Stage(rig)
    for server in (rig.champion, rig.candidate):
        server.process.send_signal(signal.SIGSTOP)
    try:
        blind = stage.until(lambda v: "candidate 2" in gate(v, "error_rate").message)  # who was stopped last may answer once more
    finally:
        for server in (rig.champion, rig.candidate):
            server.process.send_signal(signal.SIGCONT)
    assert {g.verdict for g in blind.gates} == {Verdict.INCONCLUSIVE}
    assert (blind.verdict, blind.reason) == (Verdict.INCONCLUSIVE, "source_missing")
    assert "candidate 2" in gate(blind, "error_rate").message
    with load(rig, "well"):
        again = stage.until(lambda v: gate(v, "error_rate").verdict is gate(v, "score").verdict is Verdict.PASS)
    assert gate(again, "error_rate").verdict is gate(again, "score").verdict is Verdict.PASS


def test_a_gateway_that_tells_nothing_holds_the_stage_however_well_the_servers_look(rig: Rig) -> None:
    stage = Stage(rig)
    stage.meter = LocalMeter(replace(rig.settings, gateway_admin_port=1))
    with load(rig, "well"):
        held = stage.until(lambda v: gate(v, "value").verdict is gate(v, "score").verdict is Verdict.PASS)
    assert (held.verdict, gate(held, "error_rate").reason) == (Verdict.INCONCLUSIVE, "source_missing")
    assert (gate(held, "error_rate").verdict, gate(held, "value").verdict) == (Verdict.INCONCLUSIVE, Verdict.PASS)


def test_labels_that_stall_hold_the_stage_and_labels_that_come_again_let_it_go_on(rig: Rig) -> None:
    stage = Stage(rig)
    with load(rig, "well"):
        stalled = stage.until(lambda v: gate(v, "labels").reason == "labels_stalled")
        assert stalled.verdict is gate(stalled, "labels").verdict is Verdict.INCONCLUSIVE
        assert "the labels have stalled" in gate(stalled, "labels").message
        again = stage.until(lambda v: gate(v, "labels").verdict is Verdict.PASS, labels=True)
    assert gate(again, "labels").verdict is Verdict.PASS


def test_a_candidate_that_starts_anew_is_judged_on_what_it_does_then(rig: Rig) -> None:
    stage = Stage(rig)
    with load(rig, "well"):
        stage.until(lambda v: gate(v, "cpu_ms").verdict is Verdict.PASS)
        rig.restart_candidate()
        stage.until(lambda v: "INCONCLUSIVE counter_reset" in stage.seen["value"])
        last = stage.until(lambda v: {gate(v, name).verdict for name in COSTS} == {Verdict.PASS})
    assert all("INCONCLUSIVE counter_reset" in stage.seen[name] for name in COSTS if name != "memory_mb")
    assert {name: gate(last, name).verdict for name in COSTS} == dict.fromkeys(COSTS, Verdict.PASS)


def test_a_value_that_is_not_a_number_is_not_known_and_neither_passes_nor_fails(rig: Rig) -> None:
    stage = Stage(rig)
    with load(rig, "worthless") as clients:
        verdict = stage.until(lambda v: gate(v, "score").verdict is Verdict.PASS)
    assert (gate(verdict, "value").verdict, gate(verdict, "value").reason) == (Verdict.INCONCLUSIVE, "not_measured")
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert clients.failures == []
    assert "is not known until its server starts anew" in rig.candidate.log.read_text()


def test_a_candidate_that_keeps_what_it_was_given_fails_for_its_memory(rig: Rig) -> None:  # last: what it keeps stays
    stage = Stage(rig)
    with load(rig, "hoard") as clients:
        verdict = stage.until(lambda v: gate(v, "memory_mb").verdict is Verdict.FAIL)
    assert (verdict.verdict, gate(verdict, "memory_mb").reason) == (Verdict.FAIL, "more_memory")
    assert clients.failures == []
