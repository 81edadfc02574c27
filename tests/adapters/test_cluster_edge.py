"""The edge's Lua in a real Envoy: the same number as ours for every user, and nothing that a client can forge."""

import json
import random
import re
import string
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluicegate.adapters.cluster_router.gateway_api import edge_script
from sluicegate.adapters.envoy_router import envoy_command
from sluicegate.domain.route import position
from sluicegate.domain.route_table import HEADER, anybody, bucket_header, candidate_pattern, mark
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway, running_stub
from sluicegate.testing.traffic import ask_one

pytestmark = pytest.mark.gateway
TYPE = "type.googleapis.com/envoy."
SALT = "rollout-1"
SEVERAL = """
function envoy_on_request(handle)
  local body, found = handle:body(), {}
  for line in body:getBytes(0, body:length()):gmatch("[^\\n]+") do found[#found + 1] = position(line) end
  handle:respond({[":status"] = "200"}, table.concat(found, "\\n"))
end
"""


def lua(name: str, script: str) -> dict[str, Any]:
    code = {"@type": TYPE + "extensions.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": script}}
    return {"name": name, "typed_config": code, "disabled": True}


def told(salt: str, **matching: Any) -> dict[str, Any]:
    """A route whose edge has this salt."""
    context = {"@type": TYPE + "extensions.filters.http.lua.v3.LuaPerRoute", "filter_context": {"salt": salt, "mark": mark(salt)}}
    return {"match": matching, "typed_per_filter_config": {"edge": context}}


def bucket(pattern: str) -> list[dict[str, Any]]:
    return [{"name": HEADER, "string_match": {"safe_regex": {"regex": pattern}}}]


def document(port: int, admin: int, server: int) -> dict[str, Any]:
    path = "/models/flights/predict"
    quarter, half = candidate_pattern(SALT, 25), candidate_pattern("other", 50)
    assert quarter is not None
    assert half is not None
    routes = [
        {**told(SALT, path=path, headers=bucket(quarter)), **to_stub("candidate")},
        {**told(SALT, path=path), **to_stub("champion")},
        {**told(SALT, path="/models/lagging/predict", headers=bucket(half)), **to_stub("candidate")},
        {**told(SALT, path="/models/lagging/predict"), **to_stub("champion")},
        {"match": {"path": "/several"}, "direct_response": {"status": 500}, "typed_per_filter_config": {"several": on()}},
    ]
    manager = {
        "@type": TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            lua("edge", edge_script()),
            lua("several", edge_script() + SEVERAL),
            {"name": "router", "typed_config": {"@type": TYPE + "extensions.filters.http.router.v3.Router"}},
        ],
    }
    listener = {
        "address": address(port),
        "per_connection_buffer_limit_bytes": 50_000_000,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {
        "admin": {"address": address(admin)},
        "static_resources": {"listeners": [listener], "clusters": [cluster(server)]},
    }


def on() -> dict[str, Any]:
    return {"@type": TYPE + "config.route.v3.FilterConfig", "config": {}}


def to_stub(arm: str) -> dict[str, Any]:
    header = {"header": {"key": "x-served-by", "value": arm}}
    return {"route": {"cluster": "stub"}, "response_headers_to_add": [header]}


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
    return {"name": "stub", "type": "STATIC", "load_assignment": {"cluster_name": "stub", "endpoints": endpoints}}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of an Envoy with the edge."""
    home: Path = tmp_path_factory.mktemp("edge")
    settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
    port, admin = settings.gateway_port, settings.gateway_admin_port
    settings.gateway.mkdir()
    with running_stub("1", home / "stub.log") as stub:
        (settings.gateway / "bootstrap.json").write_text(json.dumps(document(port, admin, stub.target.port)))
        with running_gateway(envoy_command(settings), admin, home / "envoy.log"):
            yield port


def test_position_of_a_hundred_thousand_ids_is_ours(edge: int) -> None:
    """Every length from nothing to several stripes, with letters of one to four bytes."""
    draw = random.Random(1)
    letters = string.ascii_letters + string.digits + "-_.:/ äß€𝄞"
    ids = ["".join(draw.choices(letters, k=draw.randint(0, 90))) for _ in range(100_000)]
    body = "\n".join(f"{SALT}:{user}" for user in ids).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{edge}/several", data=body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = [int(line) for line in answer.read().split()]
    assert found == [position(SALT, user) for user in ids]


@pytest.mark.parametrize("user", ["N1", "N2", "Zoë"])
def test_server_sees_the_users_bucket(edge: int, user: str) -> None:
    header = ask_one(edge, "flights", user).body["headers"][HEADER]
    assert header == bucket_header(SALT, user)
    assert re.fullmatch(anybody(SALT), header)


def test_route_is_chosen_by_the_bucket_that_the_edge_wrote(edge: int) -> None:
    answers = [ask_one(edge, "flights", f"N{i}") for i in range(200)]
    assert [a.served_by for a in answers] == ["candidate" if position(SALT, f"N{i}") < 2500 else "champion" for i in range(200)]


@pytest.mark.parametrize("forged", [f"{mark(SALT)}-0000", "0000", ""])
def test_bucket_that_a_client_sends_is_dropped(edge: int, forged: str) -> None:
    late = next(f"N{i}" for i in range(1000) if position(SALT, f"N{i}") >= 2500)
    answer = ask_one(edge, "flights", late, headers=[f"{HEADER}: {forged}", f"{HEADER}: {mark(SALT)}-0001"])
    assert answer.served_by == "champion"
    assert answer.body["headers"][HEADER] == bucket_header(SALT, late)


def test_request_without_a_user_has_no_bucket_even_if_it_brings_one(edge: int) -> None:
    answer = ask_one(edge, "flights", None, headers=[f"{HEADER}: {mark(SALT)}-0000"])
    assert answer.served_by == "champion"
    assert HEADER not in answer.body["headers"]


def test_request_of_two_users_has_no_bucket(edge: int) -> None:
    answer = ask_one(edge, "flights", "N1", headers=["x-user-id: N2"])
    assert answer.served_by == "champion"
    assert HEADER not in answer.body["headers"]


def test_edge_with_another_salt_than_the_route_sends_everybody_to_the_champion(edge: int) -> None:
    assert {ask_one(edge, "lagging", f"N{i}").served_by for i in range(100)} == {"champion"}
