"""A handful of rounds on the real stack with a fixed plan: what `make faults` does two hundred times, small enough for every change."""

from collections.abc import Iterator

import pytest
from tests.faults.invariants import GRACE_S, endings, violations
from tests.faults.lanes import settings_in
from tests.faults.records import Hit, Records
from tests.faults.report import overruns
from tests.faults.rounds import Draw
from tests.faults.world import World, world

from sluicegate.domain.rollout import Kind

pytestmark = pytest.mark.stack
ROUNDS = (
    Draw("candidate", "kill", "50 %", 0.3),
    Draw("champion", "kill", "25 %", 0.2),
    Draw("gateway", "kill", "5 %", 0.4),
    Draw("guard", "kill", "100 %", 0.1),
    Draw("scheduler", "kill", "mirror", 0.5),
    Draw("task", "kill", "deployed", 0.0),
    Draw("triggerer", "stop", "25 %", 0.6),
)
"""Every kind of victim once: servers, the way to them, who watches, who works."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(settings_in(tmp_path_factory.mktemp("faults")), 2, print) as here:
        here.rounds.patience = 90.0
        for draw in ROUNDS:
            here.rounds.carry_out(draw)
        here.quiet()
        yield here


@pytest.fixture(scope="module")
def records(here: World) -> Records:
    return here.records()


def hit(records: Records, target: str) -> Hit:
    return next(h for h in records.hits if h.target == target)


def test_no_invariant_is_violated(records: Records) -> None:
    assert violations(records) == []


def test_every_target_was_hit_while_something_was_released(records: Records) -> None:
    assert [(h.target, h.how) for h in records.hits] == [(d.target, d.how) for d in ROUNDS]
    assert all(h.open for h in records.hits)
    assert len(endings(records)) >= 2


def test_clients_asked_all_the_time_and_lost_only_what_the_gateway_had_in_hand_or_could_not_take(records: Records) -> None:
    gateway = hit(records, "gateway")
    failed = [r for r in records.requests if r.failed]
    assert len(records.requests) > 1000
    assert all(gateway.at <= r.done and r.sent <= gateway.back_at + GRACE_S for r in failed if r.why == "refused")
    assert [r for r in failed if r.status] == []


def test_lease_that_nobody_renews_ends_the_candidates_traffic_within_a_second(records: Records) -> None:
    late = overruns(records)
    assert hit(records, "triggerer").back_at - hit(records, "triggerer").at > records.lease
    assert late
    assert late[-1] <= GRACE_S


def test_rollouts_that_met_no_fault_are_promoted(records: Records) -> None:
    met = {name for h in records.hits for name in h.open}
    ended = {f"{e.lane}/{e.rollout}": e.kind for e in records.journal if e.kind in (Kind.PROMOTED, Kind.REVERTED)}
    assert {kind for name, kind in ended.items() if name not in met} == {Kind.PROMOTED}
