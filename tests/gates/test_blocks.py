"""Variance over time by batch means."""

import numpy as np
import pytest

from sluicegate.gates import blocks


def pushed(values, weight=1.0):
    found = blocks.Blocks(np.zeros((0, 2)))
    for value in values:
        found = blocks.push(found, np.array([weight, weight * value]))
    return found


def test_below_six_blocks_nothing_is_known():
    assert blocks.standard_error(pushed([1, 2, 3, 4, 5]), 1) == np.inf
    assert blocks.standard_error(pushed([1, 2, 3, 4, 5, 6]), 1) < np.inf


def test_six_values_have_their_known_standard_error():
    residual_squares = 17.5
    assert blocks.standard_error(pushed([1, 2, 3, 4, 5, 6]), 1) == pytest.approx(np.sqrt(residual_squares * 6 / 3) / 6)


def test_a_look_without_requests_is_no_look():
    empty = np.zeros(2)
    assert len(blocks.push(pushed([1, 2]), empty).sums) == 2


@pytest.mark.parametrize("looks", [32, 33, 100, 1000])
def test_joining_blocks_loses_nothing_and_keeps_their_number_bounded(looks):
    found = pushed(range(looks))
    assert found.sums[:, 0].sum() == looks
    assert found.sums[:, 1].sum() == sum(range(looks))
    assert len(found.sums) <= blocks.MOST


def test_what_drifts_slowly_is_less_certain_than_what_jumps_as_much_at_random():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=1000)
    slow = np.zeros(1000)
    for place in range(1, 1000):
        slow[place] = 0.95 * slow[place - 1] + noise[place]
    slow *= noise.std() / slow.std()
    assert blocks.standard_error(pushed(slow), 1) > 3 * blocks.standard_error(pushed(noise), 1)
