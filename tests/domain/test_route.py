"""Routes, and the assignment of users."""

import numpy as np
import pytest
import xxhash

from sluicegate.domain.route import BUCKETS, PARTS, Route, Target, bucket, fence, in_header, is_candidate, position
from sluicegate.errors import RefusedError, StaleTokenError

A, B = Target("1", "127.0.0.1", 9), Target("2", "127.0.0.1", 10)
MILLION = 1_000_000


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    """Positions of one million user ids in one rollout."""
    digest = xxhash.xxh64_intdigest
    return np.fromiter((digest(f"rollout-1:N{i}".encode()) % PARTS for i in range(MILLION)), dtype=np.int64, count=MILLION)


def test_position_of_the_million_is_the_shipped_function(places: np.ndarray) -> None:
    assert [position("rollout-1", f"N{i}") for i in range(0, MILLION, 9973)] == places[::9973].tolist()


@pytest.mark.parametrize("weight", [1, 5, 10, 25, 50, 75, 99])
def test_share_of_a_million_ids_is_within_a_tenth_of_a_point_of_the_weight(places: np.ndarray, weight: int) -> None:
    """One rollout. A hash is a fair coin: at 50 % one million ids stray by more than 0.1 points in about 1 rollout of 22."""
    assert abs(100 * np.mean(places < weight * 100) - weight) <= 0.1


@pytest.mark.parametrize("weight", [5, 25, 50])
def test_shares_of_many_rollouts_stray_no_more_than_a_fair_coin(weight: int) -> None:
    ids, rollouts = 20_000, 20
    share = np.array([sum(is_candidate(f"r{r}", f"N{i}", weight) for i in range(ids)) for r in range(rollouts)]) / ids
    strays = (share - weight / 100) / np.sqrt(weight / 100 * (1 - weight / 100) / ids)
    assert np.sum(strays**2) < 45.3  # 99.9 % point of chi-square with 20 degrees of freedom


def test_growing_weight_lets_nobody_leave_the_candidate(places: np.ndarray) -> None:
    before = np.zeros(MILLION, dtype=bool)
    for weight in range(101):
        now = places < weight * (PARTS // 100)
        assert not np.any(before & ~now)
        before = now
    assert before.all()


@pytest.mark.parametrize(("weight", "everybody"), [(0, False), (100, True)])
def test_weight_at_the_ends_takes_nobody_or_everybody(weight: int, everybody: bool) -> None:
    assert {is_candidate("r", f"N{i}", weight) for i in range(20_000)} == {everybody}


def test_growing_weight_by_the_function_is_nested() -> None:
    for user in (f"N{i}" for i in range(300)):
        served = [is_candidate("r", user, weight) for weight in range(101)]
        assert served == sorted(served)


def test_new_rollout_reshuffles_who_goes_first() -> None:
    users = [f"N{i}" for i in range(20_000)]
    both = sum(is_candidate("r1", user, 50) and is_candidate("r2", user, 50) for user in users)
    assert 0.23 < both / len(users) < 0.27


def test_evidence_bucket_does_not_follow_the_assignment() -> None:
    taken = {bucket(f"N{i}") for i in range(20_000) if is_candidate("r", f"N{i}", 25)}
    assert taken == set(range(BUCKETS))


def test_known_position_is_pinned() -> None:
    """xxHash64 with seed 0: what Envoy computes, checked against the real one in tests/adapters/test_envoy_traffic.py."""
    assert position("rollout-1", "N14228") == xxhash.xxh64(b"rollout-1:N14228", seed=0).intdigest() % 10_000


@pytest.mark.parametrize(("weight", "mirror"), [(-1, 0), (101, 0), (0, -1), (0, 101)])
def test_percent_out_of_range_is_refused(weight: int, mirror: int) -> None:
    with pytest.raises(RefusedError, match="between 0 and 100"):
        Route("m", A, B, weight, mirror, expires_at=1.0)


@pytest.mark.parametrize(("weight", "mirror"), [(5, 0), (0, 5)])
def test_traffic_without_a_candidate_is_refused(weight: int, mirror: int) -> None:
    with pytest.raises(RefusedError, match="no candidate"):
        Route("m", A, None, weight, mirror, expires_at=1.0)


def test_weight_without_a_lease_is_refused() -> None:
    with pytest.raises(RefusedError, match="lease"):
        Route("m", A, B, 5)


def test_cut_keeps_the_servers_and_takes_weight_mirror_and_lease() -> None:
    route = Route("m", A, B, 25, 50, "r", 4, 99.0)
    assert route.cut() == Route("m", A, B, 0, 0, "r", 4, None)


@pytest.mark.parametrize(("weight", "now", "over"), [(5, 9.9, False), (5, 10.0, True), (5, 11.0, True), (0, 11.0, False)])
def test_lease_is_over_at_its_end_and_only_for_a_weight(weight: int, now: float, over: bool) -> None:
    assert Route("m", A, B, weight, expires_at=10.0).lease_over(now) is over


@pytest.mark.parametrize(("newest", "token"), [(-1, 0), (3, 3), (3, 4)])
def test_token_as_new_as_the_newest_passes(newest: int, token: int) -> None:
    fence("m", newest, token)


def test_older_token_is_fenced_off() -> None:
    with pytest.raises(StaleTokenError, match=r"token 2 .*'m'.* 3"):
        fence("m", 3, 2)


@pytest.mark.parametrize(
    "version", ["", "%DOWNSTREAM_REMOTE_ADDRESS%", "1\r\nx-served-by: champion", "1 2", "../1", "ä", "1" * 64]
)
def test_a_version_that_a_proxy_could_take_for_something_else_is_named_in_no_header(version: str) -> None:
    with pytest.raises(RefusedError, match="cannot be named in a header"):
        in_header(version)


def test_a_version_of_letters_and_digits_is_named_in_a_header_as_it_is() -> None:
    assert [in_header(version) for version in ("1", "2026-11.rc_1")] == ["1", "2026-11.rc_1"]
