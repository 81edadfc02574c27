"""What the gateway shows to the world: predictions, and nothing of its own."""

import socket
from pathlib import Path

import pytest
from tests.hostile.siege import gateway_before

from sluicegate.adapters.envoy_router.bootstrap import READABLE, bootstrap
from sluicegate.settings import Settings
from sluicegate.testing.hostile.requests import valid
from sluicegate.testing.hostile.wire import exchange, statuses
from sluicegate.testing.model_server import running_model_server
from sluicegate.testing.package import toy_package

ADMIN = (*READABLE, "/quitquitquit", "/healthcheck/fail", "/logging?level=trace", "/runtime_modify?a=b", "/drain_listeners")
SERVER = ("/evidence", "/metrics", "/health/ready", "/health/live")
TRICKS = ("", "/models/toy/predict/..", "/models/toy/predict/../../..", "//", "/models/toy/predict/%2e%2e/%2e%2e/%2e%2e")


def ask(port: int, path: str, host: str = "x") -> bytes:
    return exchange(port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())


@pytest.mark.gateway
def test_neither_the_gateways_admin_nor_the_servers_own_pages_are_reached_through_the_gateway(tmp_path: Path) -> None:
    with (
        running_model_server(toy_package(tmp_path).folder, "1", tmp_path / "server") as running,
        gateway_before(running, tmp_path) as port,
    ):
        reached = {(path, trick): statuses(ask(port, trick + path)) for path in (*ADMIN, *SERVER) for trick in TRICKS}
        assert {key: found for key, found in reached.items() if found not in ([400], [404], [405])} == {}
        assert statuses(ask(port, "/stats", "127.0.0.1:9901")) == [404]
        assert statuses(exchange(port, valid())) == [200]


def test_the_admin_interface_listens_on_loopback_and_changes_nothing() -> None:
    admin = bootstrap(Settings())["admin"]
    assert admin["address"]["socket_address"]["address"] == "127.0.0.1"
    allowed = [entry["prefix"] for entry in admin["allow_paths"]]
    assert not [path for path in ("/quitquitquit", "/logging", "/runtime_modify", "/drain_listeners") if path in allowed]


def test_a_model_server_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    with running_model_server(toy_package(tmp_path).folder, "1", tmp_path / "server") as running:
        for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), running.port, socket.AF_INET)}:
            if not address.startswith("127."):
                with pytest.raises(OSError), socket.create_connection((address, running.port), timeout=2):
                    pass
        assert running.ask(b"{}")[0] == 422
