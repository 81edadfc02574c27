"""A check that cannot fail is worth nothing: an honest record has no violation, and each doctored one has exactly the one it was given."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.faults.invariants import endings, violations
from tests.faults.records import End, Entry, Held, Hit, Records, Request, Shown

from sluicegate.domain.route import position

LANE, ROLLOUT, T = "lane0", "abc", 1000.0
MINE = next(f"u{n}" for n in range(999) if position(ROLLOUT, f"u{n}") < 500)
"""A user of the candidate at 5 %."""
OTHER = next(f"u{n}" for n in range(999) if position(ROLLOUT, f"u{n}") >= 5000)
"""A user of the candidate at no weight of this story."""
PLAN = {"stages": [{"weight": 5}, {"weight": 100}]}
PASS: dict[str, Any] = {"verdict": "PASS", "gates": [{"gate": "error_rate", "verdict": "PASS"}]}


def entry(number: int, kind: str, rollout: str = ROLLOUT, **data: Any) -> Entry:
    return Entry(number, T + number, LANE, rollout, kind, "test", data)


def asked(at: float, user: str = OTHER, arm: str = "champion", **changes: Any) -> Request:
    version = "2" if arm == "candidate" else "1"
    return Request(LANE, user, T + at, T + at + 0.01, changes.pop("status", 200), version, arm, **changes)


def honest() -> Records:
    """One rollout from version 1 to 2 through two stages, with a killed scheduler in between."""
    journal = [
        entry(1, "OPENED", candidate="2", champion="1", token=4, release=PLAN),
        entry(2, "DEPLOYED"),
        entry(3, "STAGE_ENTERED", index=0, weight=5),
        entry(4, "EVIDENCE"),
        entry(5, "STAGE_DECIDED", index=0, **PASS),
        entry(6, "STAGE_ENTERED", index=1, weight=100),
        entry(7, "EVIDENCE"),
        entry(8, "STAGE_DECIDED", index=1, **PASS),
        entry(9, "PROMOTED", candidate="2", champion="1"),
        entry(12, "RETIRED", version="1"),
    ]
    shown = [
        Shown(T, LANE, 0, 0, "", "1", "", until=T + 3),
        Shown(T + 3.1, LANE, 5, 0, ROLLOUT, "1", "2", until=T + 6),
        Shown(T + 6.1, LANE, 100, 0, ROLLOUT, "1", "2", until=T + 9),
        Shown(T + 9.1, LANE, 0, 0, "", "2", "", until=T + 20),
    ]
    held = [
        Held(T, LANE, 3, 0, None),
        Held(T + 3, LANE, 4, 5, T + 8),
        Held(T + 6, LANE, 4, 100, T + 11),
        Held(T + 9, LANE, 5, 0, None),
    ]
    requests = [asked(1), asked(4), asked(4.5, MINE, "candidate"), asked(7, OTHER, "candidate"), asked(15)]
    hits = [Hit(1, "scheduler", "kill", LANE, "5 %", T + 4, T + 4.2, (f"{LANE}/{ROLLOUT}",))]
    ends = [End(LANE, "2", "2", 0, "2", {"1": "key-1", "2": "key-2"}, None)]
    ledgers = [{"lane": LANE, "name": "july.csv", "landed": 5, "in": 5, "accepted": 3, "quarantined": 1, "duplicate": 1}]
    return Records(requests, shown, held, journal, hits, ends, ledgers)


def test_honest_record_has_no_violation() -> None:
    assert violations(honest()) == []


def test_weight_that_came_and_went_between_two_sights_of_the_witness_explains_its_users() -> None:
    records = honest()
    del records.shown[1]
    assert violations(records) == []


def without(records: Records, number: int) -> None:
    records.journal = [e for e in records.journal if e.number != number]


def rewrite(records: Records, number: int, **data: Any) -> None:
    records.journal = [replace(e, data={**e.data, **data}) if e.number == number else e for e in records.journal]


def answered_after_the_lease(records: Records) -> None:
    records.held[1:3] = [replace(records.held[1], expires_at=T + 5), replace(records.held[2], at=T + 8)]
    records.requests.append(asked(6.5, MINE, "candidate"))


def answered_after_the_cut(records: Records) -> None:
    records.requests.append(asked(10.5, MINE, "candidate"))
    records.shown[2] = replace(records.shown[2], until=T + 11)


def split_above_one(records: Records) -> None:
    records.shown[1] = replace(records.shown[1], total=10_500)


def weight_of_no_stage(records: Records) -> None:
    records.shown.insert(2, replace(records.shown[1], at=T + 5, weight=50))


def weight_before_its_stage(records: Records) -> None:
    records.shown.insert(1, replace(records.shown[1], at=T + 1, until=T + 2))


def weight_that_shrank(records: Records) -> None:
    records.shown.insert(3, replace(records.shown[1], at=T + 8, until=T + 9))


def stranger_at_the_candidate(records: Records) -> None:
    records.requests.append(asked(4.5, OTHER, "candidate"))


def two_rollouts_at_once(records: Records) -> None:
    records.journal.insert(5, entry(5, "OPENED", "def", candidate="3", champion="1", token=6, release=PLAN))
    records.ends[0].registered["3"] = "key-3"


def token_that_did_not_grow(records: Records) -> None:
    records.journal.append(entry(20, "OPENED", "def", candidate="2", champion="1", token=4, release=PLAN))


def write_after_the_end(records: Records) -> None:
    records.journal.insert(-1, entry(10, "STAGE_ENTERED", index=1, weight=100))


def stale_writer(records: Records) -> None:
    records.held.append(replace(records.held[0], at=T + 12, token=3))


def promotion_without_a_verdict(records: Records) -> None:
    without(records, 5)


def promotion_on_a_fail(records: Records) -> None:
    rewrite(records, 5, verdict="FAIL")


def promotion_over_a_failed_gate(records: Records) -> None:
    rewrite(records, 5, gates=[{"gate": "p95_ms", "verdict": "FAIL"}])


def promotion_without_gates(records: Records) -> None:
    rewrite(records, 5, gates=[])


def promotion_on_no_evidence(records: Records) -> None:
    without(records, 4)


def lost_row(records: Records) -> None:
    records.ledgers[0]["accepted"] -= 1


def row_that_was_never_taken(records: Records) -> None:
    records.ledgers[0]["landed"] += 1


def training_registered_twice(records: Records) -> None:
    records.ends[0].registered["3"] = "key-2"


def release_of_an_unknown_version(records: Records) -> None:
    del records.ends[0].registered["2"]


def registration_of_a_result_that_is_lost(records: Records) -> None:
    records.ends[0] = replace(records.ends[0], unmade=("key-2",))


def request_lost_at_a_shift(records: Records) -> None:
    records.requests.append(asked(6.05, status=503))


def request_lost_with_the_candidate(records: Records) -> None:
    records.hits.append(Hit(2, "candidate", "kill", LANE, "5 %", T + 5, T + 5.5))
    records.requests.append(asked(4.995, MINE, status=0, why="lost"))


def request_after_the_champions_death(records: Records) -> None:
    records.hits.append(Hit(2, "champion", "kill", LANE, "5 %", T + 5, T + 5.5))
    records.requests.append(asked(5.2, status=503))


def request_lost_long_after_the_gateway_was_back(records: Records) -> None:
    records.hits.append(Hit(2, "gateway", "kill", LANE, "5 %", T + 5, T + 5.5))
    records.requests.append(asked(6.5, status=0, why="refused"))


def rollout_that_never_ended(records: Records) -> None:
    records.journal = [e for e in records.journal if e.number < 9]


def rollout_that_took_too_long(records: Records) -> None:
    records.journal = [replace(e, at=e.at + 70) if e.number >= 9 else e for e in records.journal]


def release_that_never_began(records: Records) -> None:
    records.stuck.append("lane0: version 3 was triggered and no rollout was opened")


def gateway_with_another_champion(records: Records) -> None:
    records.ends[0] = replace(records.ends[0], routed="1")


def alias_of_another_version(records: Records) -> None:
    records.ends[0] = replace(records.ends[0], alias="1")


def weight_left_behind(records: Records) -> None:
    records.ends[0] = replace(records.ends[0], weight=100)


def lock_left_behind(records: Records) -> None:
    records.ends[0] = replace(records.ends[0], holder=ROLLOUT)


@pytest.mark.parametrize(
    ("doctor", "invariant"),
    [
        (answered_after_the_lease, 1),
        (answered_after_the_cut, 1),
        (split_above_one, 2),
        (weight_of_no_stage, 2),
        (weight_before_its_stage, 2),
        (weight_that_shrank, 2),
        (stranger_at_the_candidate, 2),
        (two_rollouts_at_once, 3),
        (token_that_did_not_grow, 3),
        (write_after_the_end, 3),
        (stale_writer, 3),
        (promotion_without_a_verdict, 4),
        (promotion_on_a_fail, 4),
        (promotion_over_a_failed_gate, 4),
        (promotion_without_gates, 4),
        (promotion_on_no_evidence, 4),
        (lost_row, 5),
        (row_that_was_never_taken, 5),
        (training_registered_twice, 6),
        (release_of_an_unknown_version, 6),
        (registration_of_a_result_that_is_lost, 6),
        (request_lost_at_a_shift, 7),
        (request_lost_with_the_candidate, 7),
        (request_after_the_champions_death, 7),
        (request_lost_long_after_the_gateway_was_back, 7),
        (rollout_that_never_ended, 8),
        (rollout_that_took_too_long, 8),
        (release_that_never_began, 8),
        (gateway_with_another_champion, 8),
        (alias_of_another_version, 8),
        (weight_left_behind, 8),
        (lock_left_behind, 8),
    ],
)
def test_doctored_record_is_found_out_by_the_invariant_that_it_breaks(doctor: Callable[[Records], None], invariant: int) -> None:
    records = honest()
    doctor(records)
    assert {violation.invariant for violation in violations(records)} == {invariant}


@pytest.mark.parametrize(
    ("hit", "request_"),
    [
        (Hit(2, "gateway", "kill", LANE, "5 %", T + 5, T + 5.5), asked(5.3, status=0, why="refused")),
        (Hit(2, "champion", "kill", LANE, "5 %", T + 5, T + 6), asked(4.995, status=503)),
        (Hit(2, "champion", "stop", LANE, "5 %", T + 5, T + 8), asked(6, status=504)),
    ],
)
def test_request_that_was_hit_itself_is_no_violation(hit: Hit, request_: Request) -> None:
    records = honest()
    records.hits.append(hit)
    records.requests.append(request_)
    assert violations(records) == []


def test_lease_is_not_held_against_a_rollout_while_its_guard_is_dead() -> None:
    records = honest()
    answered_after_the_lease(records)
    records.hits.append(Hit(2, "guard", "kill", LANE, "5 %", T + 5, T + 6))
    assert violations(records) == []


def test_seconds_to_the_end_count_from_the_last_restart_that_the_rollout_met() -> None:
    records = honest()
    records.hits.append(replace(records.hits[0], number=2, at=T + 6, back_at=T + 6.5))
    records.hits.append(replace(records.hits[0], number=3, at=T + 30, back_at=T + 31, open=()))
    assert endings(records) == [(LANE, ROLLOUT, 2.5)]
