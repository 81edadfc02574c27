"""What a seed draws, and what flags fix."""

from collections import Counter

import pytest
from tests.faults.accidents import KINDS as ACCIDENTS
from tests.faults.rounds import Draw, draws
from tests.faults.tape import STEPS
from tests.faults.targets import KILLED, OTHERS, STOPPED, others


def drawn(seed: int = 1, rounds: int = 400, how: str = "kill", target: str | None = None, at: str | None = None) -> list[Draw]:
    return list(draws(seed, rounds, how, target, at))


def test_same_seed_draws_the_same_and_another_one_does_not() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_every_target_is_killed_at_every_kind_of_step_and_the_supervisor_seldom() -> None:
    found = drawn(rounds=2000)
    assert {d.target for d in found} == set(KILLED)
    assert {d.step for d in found} == set(STEPS)
    times = Counter(d.target for d in found)
    assert times["supervisor"] < min(n for name, n in times.items() if name != "supervisor") / 2


def test_any_also_stops_locks_fills_restarts_and_has_accidents() -> None:
    found = {(d.how, d.target) for d in drawn(how="any", rounds=2000)}
    assert {how for how, _ in found} == {"kill", "stop", "lock", "fill", "restart", "act"}
    assert {target for how, target in found if how == "act"} == set(ACCIDENTS)
    assert {target for how, target in found if how == "stop"} == set(STOPPED)
    assert {(how, target) for how, target in found if how in ("lock", "fill", "restart")} == {
        (how, name) for name, how in OTHERS.items()
    }


def test_without_a_small_disk_none_is_filled() -> None:
    found = draws(1, 500, "any", None, None, others(disk=False, postgres=False))
    assert {"lock"} == {d.how for d in found} & {"lock", "fill", "restart"}


def test_on_postgres_the_server_is_restarted_where_files_would_be_locked() -> None:
    found = draws(1, 500, "other", None, None, others(disk=True, postgres=True))
    assert {(d.target, d.how) for d in found} == {("postgres", "restart"), ("gateway-disk", "fill")}


def test_named_target_and_step_are_fixed_and_the_delay_is_still_drawn() -> None:
    found = drawn(target="champion", at="25 %", rounds=20)
    assert {(d.target, d.how, d.step) for d in found} == {("champion", "kill", "25 %")}
    assert len({d.delay for d in found}) == 20


def test_seconds_count_from_the_deployment() -> None:
    assert {(d.step, d.delay) for d in drawn(at="3.5", rounds=5)} == {("deployed", 3.5)}


@pytest.mark.parametrize(("target", "how"), [*OTHERS.items(), *((name, "act") for name in ACCIDENTS)])
def test_database_disk_or_accident_that_is_named_is_hit_in_the_only_way_it_can(target: str, how: str) -> None:
    assert {(d.target, d.how) for d in drawn(target=target, rounds=5)} == {(target, how)}
