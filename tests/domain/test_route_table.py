"""The assignment as patterns of a header: the same users as the hash, for every weight."""

import re

import numpy as np
import pytest
import xxhash

from sluicegate.domain.route import PARTS, is_candidate, position
from sluicegate.domain.route_table import anybody, bucket_header, candidate_pattern, mark

MILLION = 1_000_000


def matching(salt: str, weight: int) -> np.ndarray:
    """For each of the 10 000 places, whether the pattern takes it."""
    pattern = candidate_pattern(salt, weight)
    if pattern is None:
        return np.zeros(PARTS, dtype=bool)
    find = re.compile(pattern).fullmatch
    return np.fromiter((find(f"{mark(salt)}-{place:04d}") is not None for place in range(PARTS)), dtype=bool, count=PARTS)


@pytest.mark.parametrize("weight", range(101))
def test_pattern_takes_the_places_below_the_weight_and_no_others(weight: int) -> None:
    assert np.array_equal(matching("r", weight), np.arange(PARTS) < weight * 100)


def test_one_million_ids_are_assigned_as_the_hash_assigns_them_and_nobody_leaves_while_the_weight_grows() -> None:
    digest = xxhash.xxh64_intdigest
    places = np.fromiter((digest(f"rollout-1:N{i}".encode()) % PARTS for i in range(MILLION)), dtype=np.int64, count=MILLION)
    before = np.zeros(MILLION, dtype=bool)
    for weight in (0, 1, 5, 10, 25, 50, 75, 99, 100):
        now = matching("rollout-1", weight)[places]
        assert np.array_equal(now, places < weight * 100)
        assert not np.any(before & ~now)
        assert abs(100 * now.mean() - weight) <= 0.1
        before = now


def test_header_of_a_user_meets_the_pattern_when_the_hash_says_candidate() -> None:
    for user in (f"N{i}" for i in range(500)):
        header = bucket_header("rollout-1", user)
        assert header.endswith(f"-{position('rollout-1', user):04d}")
        for weight in (1, 25, 99):
            pattern = candidate_pattern("rollout-1", weight)
            assert pattern is not None
            assert (re.fullmatch(pattern, header) is not None) == is_candidate("rollout-1", user, weight)


def test_buckets_of_another_salt_meet_no_pattern() -> None:
    other = [bucket_header("rollout-2", f"N{i}") for i in range(500)]
    assert not [header for header in other if re.fullmatch(anybody("rollout-1"), header)]


def test_buckets_of_the_same_salt_are_recognised_whatever_the_weight() -> None:
    assert re.fullmatch(anybody("rollout-1"), bucket_header("rollout-1", "N1"))


@pytest.mark.parametrize(
    "forged", ["", "0001", "-0001", "{mark}-001", "{mark}-00010", "{mark}-00a1", "x{mark}-0001", "{mark}-0001,{mark}-0001"]
)
def test_what_is_no_bucket_meets_no_pattern(forged: str) -> None:
    pattern = candidate_pattern("r", 100)
    assert pattern is not None
    assert re.fullmatch(pattern, forged.format(mark=mark("r"))) is None
