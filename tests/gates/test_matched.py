"""Means of two arms, compared inside each block and added up."""

from math import inf

import numpy as np
import pytest

from sluicegate.gates import matched


def spread(total, buckets=200):
    return np.full(buckets, total / buckets)


def folded(blocks, relative=(True,)):
    found = matched.nothing(relative)
    for requests, values in blocks:
        asked = np.stack([spread(n) for n in requests])
        found = matched.fold(found, asked, np.stack([[spread(v) for v in both] for both in values]))
    return found


def test_a_mix_that_changes_in_time_is_no_difference():
    calm, busy = ((900, 100), [(900.0, 100.0)]), ((100, 900), [(500.0, 4500.0)])
    (means,) = folded([calm, busy] * 4).means
    assert means.candidate == pytest.approx(means.champion)
    assert means.scale == pytest.approx(1.0)


def test_a_ratio_is_of_the_means_and_a_difference_has_scale_one():
    ratio, difference = folded([((500, 500), [(500.0, 1000.0)] * 2)] * 8, (True, False)).means
    assert (ratio.scale, difference.scale) == (pytest.approx(2.0), 1.0)
    assert (ratio.champion, ratio.candidate) == (pytest.approx(1.0), pytest.approx(2.0))


def test_a_block_in_which_one_arm_was_not_asked_tells_nothing():
    assert folded([((500, 0), [(500.0, 0.0)])] * 8).means == ()


def test_five_blocks_are_too_few_and_so_are_users_of_ten_buckets():
    block = ((500, 500), [(500.0, 500.0)])
    assert folded([block] * 5).means[0].error == inf
    assert folded([block] * 6).means[0].error < inf
    few = np.zeros((2, 200))
    few[:, :10] = 50
    found = matched.nothing((True,))
    for _ in range(8):
        found = matched.fold(found, few, few[None])
    assert found.means[0].error == inf


@pytest.mark.parametrize(("relative", "truth"), [(True, 0.0), (False, 0.0)])
def test_the_standard_error_is_what_the_difference_varies_by(relative, truth):
    rng = np.random.default_rng(8)
    seen, told = [], []
    for _ in range(150):
        found = matched.nothing((relative,))
        for _ in range(20):
            asked = rng.poisson((4.0, 1.0), (200, 2)).T.astype(float)
            found = matched.fold(found, asked, rng.gamma(np.maximum(asked, 1e-9))[None])
        (means,) = found.means
        seen.append(means.candidate - means.champion)
        told.append(means.error)
    assert np.mean(seen) == pytest.approx(truth, abs=3 * np.std(seen) / 150**0.5)
    assert np.mean(told) == pytest.approx(np.std(seen), rel=0.35)
