"""From readings to looks: what is not known adds nothing and says why."""

from dataclasses import replace

import numpy as np
import pytest

from sluicegate.gates import looks


def step(source, started_at, now):
    return looks.step(source, started_at, None if now is None else np.array(now, dtype=float), (0,))


def test_the_first_reading_is_only_where_counting_starts():
    source, added = step(looks.Source(), (0.0,), [[5.0]])
    assert added is None
    assert source.problem == ""


def test_a_look_is_the_difference_of_two_readings():
    source, _ = step(looks.Source(), (0.0,), [[5.0, 1.0]])
    _, added = step(source, (0.0,), [[9.0, 1.0]])
    assert added.tolist() == [[4.0, 0.0]]


def test_a_missing_reading_adds_nothing_and_the_next_one_catches_up():
    source, _ = step(looks.Source(), (0.0,), [[5.0]])
    source, added = step(source, (), None)
    assert (added, source.problem) == (None, looks.SOURCE_MISSING)
    source, added = step(source, (0.0,), [[9.0]])
    assert (added.tolist(), source.problem) == ([[4.0]], "")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_counter_that_is_not_a_number_adds_nothing(bad):
    source, _ = step(looks.Source(), (0.0,), [[5.0]])
    source, added = step(source, (0.0,), [[bad]])
    assert (added, source.problem) == (None, looks.NOT_A_NUMBER)
    _, added = step(source, (0.0,), [[6.0]])
    assert added.tolist() == [[1.0]]


@pytest.mark.parametrize(("started_at", "now"), [(7.0, 9.0), (7.0, 1.0), (0.0, 1.0)])
def test_a_counter_that_began_anew_adds_nothing_and_counts_on_from_there(started_at, now):
    source, _ = step(looks.Source(), (0.0,), [[5.0]])
    source, added = step(source, (started_at,), [[now]])
    assert (added, source.problem) == (None, looks.COUNTER_RESET)
    _, added = step(source, (started_at,), [[now + 2]])
    assert added.tolist() == [[2.0]]


def test_a_sum_of_scores_may_shrink():
    source, _ = looks.step(looks.Source(), (0.0,), np.array([[5.0], [1.0]]), (0,))
    source, added = looks.step(source, (0.0,), np.array([[6.0], [0.5]]), (0,))
    assert added.tolist() == [[1.0], [-0.5]]


@pytest.mark.parametrize("key", ["25", "25.0"])
def test_a_bound_is_found_however_it_was_written(build, key):
    counted = replace(build.arm(10), slow={"300": build.spread(9), key: build.spread(3)})
    assert looks.arm_array(counted, 25.0)[looks.SLOW].sum() == 3


def test_a_bound_that_the_server_does_not_count_is_reported_as_such(build):
    assert looks.slow_key(build.arm(10), 80.0) is None


def test_at_a_mirror_stage_the_candidate_is_what_it_said_to_mirrored_requests(build):
    reading = build.reading(1.0, build.arm(10), build.arm(0), mirror=build.arm(7))
    assert looks.arms_array(reading, "mirror", 25.0)[1][1, looks.REQUESTS].sum() == 7
    assert looks.arms_array(reading, "split", 25.0)[1][1, looks.REQUESTS].sum() == 0
