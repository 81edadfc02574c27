"""One contract for everything that tells incidents; and what only files and a receiver over HTTP can get wrong."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluicegate.actions.release import revert
from sluicegate.adapters.local_incidents import LocalIncidents
from sluicegate.domain.notice import Notice
from sluicegate.errors import InputError, UnavailableError, UnfinishedError
from sluicegate.ports import Incidents
from sluicegate.settings import Settings
from sluicegate.testing.incidents import MemoryIncidents
from sluicegate.testing.incidents_contract import IncidentsContract, notice
from sluicegate.testing.rollouts import begin, world
from sluicegate.wiring import wire


class Receiver(HTTPServer):
    """A real HTTP receiver; `status` is what it answers."""

    status = 200

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        if receiver.status == 200:
            receiver.bodies.append(json.loads(body))
            receiver.keys.append(self.headers["idempotency-key"])
        self.send_response(receiver.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class TestMemoryIncidents(IncidentsContract):
    @pytest.fixture
    def incidents(self) -> MemoryIncidents:
        return MemoryIncidents()

    @pytest.fixture
    def kept(self, incidents: MemoryIncidents) -> Callable[[str], dict[str, Any]]:
        return lambda place: incidents.recorded[place.removeprefix("memory:")].to_dict()

    @pytest.fixture
    def heard(self, incidents: MemoryIncidents) -> Callable[[], list[dict[str, Any]]]:
        return lambda: [told.to_dict() for told in incidents.told]


class TestLocalIncidents(IncidentsContract):
    @pytest.fixture
    def incidents(self, tmp_path: Path, receiver: Receiver) -> LocalIncidents:
        return LocalIncidents(Settings(home=tmp_path, notify_url=receiver.url))

    @pytest.fixture
    def kept(self) -> Callable[[str], dict[str, Any]]:
        return lambda place: json.loads(Path(place).read_text())

    @pytest.fixture
    def heard(self, receiver: Receiver) -> Callable[[], list[dict[str, Any]]]:
        return lambda: receiver.bodies

    def test_a_receiver_can_tell_a_second_delivery_by_its_key(self, incidents: LocalIncidents, receiver: Receiver) -> None:
        incidents.tell(notice())
        incidents.tell(notice())
        assert receiver.keys == ["abc123-reverted"] * 2

    @pytest.mark.parametrize("status", [404, 500])
    def test_a_receiver_that_refuses_has_not_been_told(self, incidents: LocalIncidents, receiver: Receiver, status: int) -> None:
        receiver.status = status
        with pytest.raises(UnavailableError, match=f"abc123-reverted.*{status}"):
            incidents.tell(notice())

    def test_a_receiver_that_is_not_there_has_not_been_told(self, tmp_path: Path) -> None:
        with pytest.raises(UnavailableError, match="SLUICEGATE_NOTIFY_URL did not take"):
            LocalIncidents(Settings(home=tmp_path, notify_url="http://127.0.0.1:1/")).tell(notice())

    def test_without_a_receiver_the_log_is_told(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        LocalIncidents(Settings(home=tmp_path)).tell(notice())
        assert json.loads(caplog.records[-1].getMessage()) == notice().to_dict()

    def test_a_record_is_for_its_owner_alone(self, incidents: LocalIncidents) -> None:
        assert Path(incidents.record(notice())).stat().st_mode & 0o077 == 0

    def test_a_disk_without_room_is_told_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "incidents").write_text("a file where a folder should be")
        with pytest.raises(UnavailableError, match="cannot be written"):
            LocalIncidents(Settings(home=tmp_path)).record(notice())

    @pytest.mark.parametrize(
        ("model", "rollout"), [("../../etc", "abc"), ("toy", "../abc"), ("", "abc"), ("toy\n", "abc"), ("toy", "a/b")]
    )
    def test_a_name_cannot_leave_its_folder(self, incidents: LocalIncidents, tmp_path: Path, model: str, rollout: str) -> None:
        with pytest.raises(InputError, match="cannot name an incident"):
            incidents.record(Notice(model, rollout, "reverted", 1.0, "anna", "why"))
        assert not (tmp_path / "incidents").exists()


class TestObjectIncidents(IncidentsContract):
    @pytest.fixture
    def incidents(self, tmp_path: Path, receiver: Receiver) -> Incidents:
        settings = Settings(home=tmp_path, notify_url=receiver.url, store_url=f"file://{tmp_path}/store")
        return wire(settings).incidents

    @pytest.fixture
    def kept(self) -> Callable[[str], dict[str, Any]]:
        return lambda place: json.loads(Path(place.removeprefix("file://")).read_text())

    @pytest.fixture
    def heard(self, receiver: Receiver) -> Callable[[], list[dict[str, Any]]]:
        return lambda: receiver.bodies

    @pytest.mark.parametrize(
        ("model", "rollout"), [("../../etc", "abc"), ("toy", "../abc"), ("", "abc"), ("toy\n", "abc"), ("toy", "a/b")]
    )
    def test_a_name_cannot_leave_its_folder(self, incidents: Incidents, tmp_path: Path, model: str, rollout: str) -> None:
        with pytest.raises(InputError, match="cannot name an incident"):
            incidents.record(Notice(model, rollout, "reverted", 1.0, "anna", "why"))
        assert not (tmp_path / "store").exists()


def test_a_revert_tells_a_receiver_that_was_down_as_soon_as_it_is_back_and_only_once(tmp_path: Path, receiver: Receiver) -> None:
    ports = world()
    ports.incidents = LocalIncidents(Settings(home=tmp_path, notify_url=receiver.url))
    mine, receiver.status = begin(ports), 503
    for _ in range(2):
        with pytest.raises(UnfinishedError, match="reverted:notice"):
            revert(ports, "toy", mine, author="anna", reason="customers call")
    receiver.status = 200
    for _ in range(2):
        revert(ports, "toy", mine, author="anna", reason="customers call")
    assert [(body["what"], body["author"], body["reason"]) for body in receiver.bodies] == [
        ("reverted", "anna", "customers call")
    ]
    assert json.loads((tmp_path / "incidents" / "toy" / f"{mine}-reverted.json").read_text()) == receiver.bodies[0]


def test_an_address_that_is_none_is_refused_when_the_settings_are_read() -> None:
    with pytest.raises(InputError, match="http://"):
        Settings.from_environment({"SLUICEGATE_NOTIFY_URL": "file:///etc/passwd"})
