"""The Runtime contract over the fake and over a real supervisord."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.adapters.supervisor_runtime import SupervisorRuntime
from sluicegate.local.programs import supervisord_conf
from sluicegate.ports.runtime import Runtime
from sluicegate.settings import Settings
from sluicegate.supervisord import Supervisord
from sluicegate.testing.gateway import free_port, started
from sluicegate.testing.runtime import MemoryRuntime
from sluicegate.testing.runtime_contract import BROKEN, RuntimeContract
from sluicegate.testing.waiting import wait_until


class TestMemoryRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return MemoryRuntime(broken=(BROKEN,))

    def kill(self, runtime: Runtime, model: str, version: str) -> None:
        """The fake's servers cannot die."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation whose supervisord runs nothing but model servers."""
    low = free_port()
    settings = Settings(home=tmp_path_factory.mktemp("home"), server_ports=(low, low + 40))
    settings.supervisor.mkdir()
    path: Path = settings.supervisor / "supervisord.conf"
    path.write_text(supervisord_conf(settings, ()))
    with started(
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(path)], settings.supervisor / "out.log"
    ) as daemon:
        wait_until(settings.supervisor_socket.exists)
        yield settings
        Supervisord(settings).call("shutdown")
        daemon.wait(30)


@pytest.mark.slow
class TestSupervisorRuntime(RuntimeContract):
    @pytest.fixture(autouse=True)
    def _settings(self, settings: Settings) -> None:
        self.settings = settings

    @pytest.fixture
    def runtime(self, settings: Settings, model: str) -> Iterator[Runtime]:
        made = SupervisorRuntime(settings)
        yield made
        for status in made.status(model):
            made.stop(model, status.target.version)

    def kill(self, runtime: Runtime, model: str, version: str) -> None:
        known = Supervisord(self.settings).call("getProcessInfo", f"{model}-{version}")
        os.kill(known["pid"], signal.SIGKILL)
