"""What the running stack shows to the machine's other users and to the network: nothing."""

import ipaddress
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from sluicegate.local.survivors import survivors

if TYPE_CHECKING:
    from tests.stack.conftest import Stack

pytestmark = pytest.mark.stack


def listening(home: Path) -> dict[int, str]:
    """Port -> address of everything that the processes of the installation under `home` listen on."""
    found = {}
    for pid in survivors(home):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            sockets = psutil.Process(pid).net_connections(kind="inet")
            found |= {s.laddr.port: s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}
    return found


def test_every_socket_listens_on_loopback_alone(stack: "Stack") -> None:
    settings = stack.settings
    found = listening(settings.home)
    assert {settings.airflow_port, settings.gateway_port, settings.gateway_admin_port} <= set(found)
    assert {port: address for port, address in found.items() if not ipaddress.ip_address(address).is_loopback} == {}


def test_every_secret_is_its_owners_alone(stack: "Stack") -> None:
    secrets = [path for path in (stack.settings.home / "secrets").iterdir() if path.is_file()]
    assert len(secrets) >= 4
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in secrets if path.stat().st_mode & 0o077} == {}
