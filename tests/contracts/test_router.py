"""The Router contract over the fake and over a real Envoy."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.ports.router import Router
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.router import MemoryRouter
from sluicegate.testing.router_contract import RouterContract, at_weight


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home: Path = tmp_path_factory.mktemp("gateway")
    settings = Settings(home=home, gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(settings)
    with running_gateway(envoy_command(settings), settings.gateway_admin_port, home / "envoy.log"):
        yield settings


class TestMemoryRouter(RouterContract):
    @pytest.fixture
    def router(self) -> Router:
        return MemoryRouter(time.time)


@pytest.mark.gateway
class TestEnvoyRouter(RouterContract):
    @pytest.fixture
    def router(self, settings: Settings) -> Router:
        return EnvoyRouter(settings)

    def test_another_process_sees_the_same(self, router: Router, settings: Settings, model: str) -> None:
        route = at_weight(model, 5)
        router.apply(route)
        assert EnvoyRouter(settings).read(model) == route
        EnvoyRouter(settings).apply(replace(route, token=2).cut())
        assert router.read(model) == replace(route, token=2).cut()
