"""The keeper's process: it looks until it is told to stop, and then it stops at once."""

import argparse
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate import wiring
from sluicegate.adapters.system_clock import SystemClock
from sluicegate.commands import work
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port
from sluicegate.testing.router import MemoryRouter
from sluicegate.testing.router_contract import at_weight


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


def test_a_keeper_cuts_until_sigterm_and_ends_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    router = MemoryRouter()
    router.apply(at_weight("flights", 25, lease=0.3))
    ports = wiring.KeeperPorts(Settings(home=tmp_path), SystemClock(), router, None)
    monkeypatch.setattr(wiring, "keeper_ports", lambda: ports)
    threading.Thread(target=stop_when_cut, args=(router,), daemon=True).start()
    work._keeper(argparse.Namespace(port=free_port()))
    assert router.read("flights").weight == 0


def stop_when_cut(router: MemoryRouter) -> None:
    while router.read("flights").weight:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)
