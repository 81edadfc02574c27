"""The witness believes the weights that Envoy draws by, not the note that lies beside them."""

import json
from typing import Any

from tests.faults.records import Shown
from tests.faults.witness import states

from sluicegate.adapters.envoy_router.documents import route_document
from sluicegate.domain.route import Route, Target

ROUTE = Route("lane0", Target("1", "127.0.0.1", 9), Target("2", "127.0.0.1", 10), 25, 50, "abc", 3, 2e9)


def dump() -> dict[str, Any]:
    """What Envoy answers to /config_dump for this route."""
    (table,) = route_document([ROUTE])["resources"]
    return {"configs": [{"route_config": json.loads(json.dumps(table))}]}


def test_route_is_read_as_envoy_shows_it() -> None:
    assert states(dump(), 7.0) == [Shown(7.0, "lane0", 25, 50, "abc", "1", "2")]


def test_weight_that_differs_from_its_note_is_seen() -> None:
    shown = dump()
    entry = shown["configs"][0]["route_config"]["virtual_hosts"][0]["routes"][0]
    entry["route"]["weighted_clusters"]["clusters"][0]["weight"] = 5000
    (state,) = states(shown, 7.0)
    assert (state.weight, state.total) == (50, 12_500)


def test_gateway_without_routes_shows_none() -> None:
    assert states({"configs": []}, 7.0) == []
