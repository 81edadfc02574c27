"""Whether the traffic really moved."""

import numpy as np
import pytest

from sluicegate.gates import share


def arms(champion, candidate):
    return np.stack([np.full(200, champion / 200), np.full(200, candidate / 200)])


@pytest.mark.parametrize(
    ("champion", "candidate", "weight"), [(9500, 500, 0.05), (7400, 2600, 0.25), (5, 9995, 1.0), (0, 400, 1.0)]
)
def test_a_share_near_its_weight_is_confirmed(champion, candidate, weight):
    assert share.realised(np.array([champion, candidate]), arms(champion, candidate), weight).confirmed


@pytest.mark.parametrize(
    ("champion", "candidate", "weight"), [(10_000, 0, 0.05), (9500, 500, 0.25), (5000, 5000, 1.0), (0, 9000, 0.5)]
)
def test_a_share_far_from_its_weight_is_not(champion, candidate, weight):
    assert not share.realised(np.array([champion, candidate]), arms(champion, candidate), weight).confirmed


def test_a_few_requests_confirm_nothing():
    assert not share.realised(np.array([95, 5]), arms(95, 5), 0.05).confirmed


def test_users_who_ask_much_make_a_share_less_certain():
    rng = np.random.default_rng(3)
    uneven = rng.pareto(1.2, size=(2, 200)) * 20
    even = arms(*uneven.sum(axis=1))
    counted = uneven.sum(axis=1)
    assert share.realised(counted, uneven, 0.5).half_width > 2 * share.realised(counted, even, 0.5).half_width
