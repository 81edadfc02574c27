"""The documents that Envoy reads, as tables."""

from pathlib import Path

import pytest

from sluicegate.adapters.envoy_router import bootstrap, envoy_command
from sluicegate.adapters.envoy_router.documents import (
    cluster_document,
    endpoint_documents,
    route_configuration,
    route_document,
    shown,
)
from sluicegate.domain.route import Route, Target
from sluicegate.settings import Settings

A, B = Target("1", "127.0.0.1", 9), Target("2", "127.0.0.1", 10)


def at(weight: int = 0, mirror: int = 0, **more: object) -> Route:
    return Route("flights", A, B, weight, mirror, "r", expires_at=1.0 if weight else None, **more)


def action(route: Route, entry: int = 0) -> dict:
    return route_configuration([route])["virtual_hosts"][0]["routes"][entry]["route"]


@pytest.mark.parametrize(("weight", "parts"), [(0, [0, 10_000]), (5, [500, 9_500]), (100, [10_000, 0])])
def test_weights_are_parts_of_ten_thousand_with_the_candidate_first(weight: int, parts: list[int]) -> None:
    split = action(at(weight))["weighted_clusters"]
    assert [(c["name"], c["weight"]) for c in split["clusters"]] == [
        ("flights/candidate", parts[0]),
        ("flights/champion", parts[1]),
    ]
    assert split["use_hash_policy"] is True


def test_request_without_user_gets_no_candidate_at_any_weight() -> None:
    assert [c["weight"] for c in action(at(99), entry=1)["weighted_clusters"]["clusters"]] == [0, 10_000]


def test_no_mirror_means_no_mirror_policy() -> None:
    assert "request_mirror_policies" not in action(at(5))


def test_mirror_goes_to_its_own_cluster_at_its_percent() -> None:
    (policy,) = action(at(0, 30))["request_mirror_policies"]
    assert policy["cluster"] == "flights/mirror"
    assert policy["runtime_fraction"]["default_value"] == {"numerator": 30, "denominator": "HUNDRED"}


def test_salt_is_escaped_for_the_substitution() -> None:
    route = Route("flights", A, B, 5, 0, r"a\1", expires_at=1.0)
    assert action(route)["hash_policy"][0]["header"]["regex_rewrite"]["substitution"] == r"a\\1:"


def test_lease_and_token_are_not_traffic() -> None:
    assert route_document([at(5, token=1)]) == route_document([at(5, token=2)])
    assert not {"token", "expires_at"} & shown(at(5)).keys()


def test_order_of_the_models_does_not_change_the_version() -> None:
    other = Route("label", A)
    assert route_document([at(5), other]) == route_document([other, at(5)])


@pytest.mark.parametrize(("change", "differs"), [(at(6), True), (at(5, 1), True), (at(5), False)])
def test_version_changes_with_the_traffic_and_only_then(change: Route, differs: bool) -> None:
    assert (route_document([at(5)])["version_info"] != route_document([change])["version_info"]) is differs


def test_clusters_do_not_change_in_a_rollout() -> None:
    """Rebuilding a cluster would drop its connections and counters: servers are endpoints, never part of a cluster."""
    assert [c["name"] for c in cluster_document(["flights"], Path("/g"))["resources"]] == [
        "flights/champion",
        "flights/candidate",
        "flights/mirror",
    ]


def servers(route: Route, arm: str) -> list[tuple[int, int]]:
    """(priority, port) of a cluster's servers."""
    (resource,) = endpoint_documents([route])[f"endpoints/flights.{arm}.json"]["resources"]
    ports = [e["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] for e in resource["endpoints"]]
    return [(entry["priority"], port) for entry, port in zip(resource["endpoints"], ports, strict=True)]


@pytest.mark.parametrize(
    ("arm", "with_candidate", "alone"),
    [("champion", [(0, 9)], [(0, 9)]), ("candidate", [(0, 10), (1, 9)], [(0, 9)]), ("mirror", [(0, 10)], [])],
)
def test_champion_stands_behind_the_candidate_and_nobody_behind_the_mirror(
    arm: str, with_candidate: list[tuple[int, int]], alone: list[tuple[int, int]]
) -> None:
    assert servers(at(5), arm) == with_candidate
    assert servers(Route("flights", A), arm) == alone


def test_admin_interface_listens_on_loopback_whatever_the_host() -> None:
    made = bootstrap(Settings(host="0.0.0.0"))
    assert made["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert made["static_resources"]["listeners"][0]["address"]["socket_address"]["address"] == "0.0.0.0"


def test_command_is_complete() -> None:
    command = envoy_command(Settings(home=Path("/h")))
    assert Path(command[0]).name == "envoy"
    assert command[1:5] == ["-c", "/h/gateway/bootstrap.json", "--concurrency", "1"]
