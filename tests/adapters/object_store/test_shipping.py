"""Prediction logs reach the store whole, each byte once, whatever happens in between."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.adapters.object_store.drivers import FileObjects
from sluicegate.adapters.object_store.shipping import PIECE, Shipper
from sluicegate.errors import RefusedError, UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.waiting import wait_until

HOUR = 1_792_080_000.0  # 2026-10-15 16:00 UTC
LOG = "20261015T16-1"
GROWING = "29991231T23-1"
"""Of an hour that is not over by any clock."""


class World:
    """A server's disk, the store, and another machine that reads the logs."""

    def __init__(self, root: Path) -> None:
        self.disk = root / "disk"
        self.disk.mkdir()
        self.url = f"file://{root}/store"
        self.pieces = root / "store" / "predictions" / "toy" / "1" / f"pod-{LOG}"
        self.readers = ObjectStore(Settings(home=root / "reader", store_url=self.url)).requests
        self.now = HOUR + 60

    def shipper(self) -> Shipper:
        return Shipper(FileObjects(self.url), self.disk, "toy", "1", "pod", lambda: self.now)

    def log(self, content: bytes, name: str = LOG) -> None:
        with (self.disk / f"{name}.jsonl").open("ab") as file:
            file.write(content)

    def arrived(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.readers.served("toy"))

    def objects(self) -> list[str]:
        return sorted(path.name for path in self.pieces.iterdir())


@contextlib.contextmanager
def process(command: list[str], env: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that does not outlive its test."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_only_whole_lines_travel_until_the_end(world: World) -> None:
    world.log(b"one\ntwo\nhal")
    shipper = world.shipper()
    shipper.ship()
    assert world.arrived() == b"one\ntwo\n"
    world.log(b"f\n")
    shipper.ship()
    assert world.arrived() == b"one\ntwo\nhalf\n"
    assert world.objects() == [f"{0:020d}", f"{8:020d}"]
    world.log(b"torn")
    shipper.ship()
    assert len(world.objects()) == 2
    shipper.ship(rest=True)
    assert world.arrived() == b"one\ntwo\nhalf\ntorn"


def test_nothing_new_ships_nothing(world: World) -> None:
    world.log(b"one\n")
    shipper = world.shipper()
    for _ in range(3):
        shipper.ship()
    assert world.objects() == [f"{0:020d}"]


def test_a_line_longer_than_a_piece_travels_in_several(world: World) -> None:
    content = b"x" * (2 * PIECE + 17) + b"\n"
    world.log(content)
    world.shipper().ship()
    assert world.arrived() == content
    assert len(world.objects()) == 3


def test_two_that_ship_the_same_log_bring_no_byte_twice(world: World) -> None:
    one, other = world.shipper(), world.shipper()
    for number in range(6):
        world.log(b"line %d\n" % number)
        (one, other)[number % 2].ship()
        if number % 3 == 0:
            other.ship()
    one.ship()
    other.ship()
    assert world.arrived() == b"".join(b"line %d\n" % number for number in range(6))


def test_an_answer_that_was_lost_on_the_way_repeats_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.log(b"one\n")
    shipper, create = world.shipper(), FileObjects.create

    def lost(self: FileObjects, name: str, content: bytes) -> bool:
        create(self, name, content)
        raise UnavailableError("the answer was lost")

    monkeypatch.setattr(FileObjects, "create", lost)
    with pytest.raises(UnavailableError):
        shipper.ship()
    monkeypatch.setattr(FileObjects, "create", create)
    world.log(b"two\n")
    shipper.ship()
    assert world.arrived() == b"one\ntwo\n"


def test_a_log_whose_hour_is_over_becomes_one_object_and_leaves_the_disk(world: World) -> None:
    shipper = world.shipper()
    for line in (b"one\n", b"two\n", b"torn"):
        world.log(line)
        shipper.ship()
    world.now = HOUR + 3600 + 200
    shipper.ship()
    assert world.objects() != ["all"]  # a server may still be flushing
    world.now = HOUR + 3600 + 301
    shipper.ship()
    assert world.objects() == ["all"]
    assert list(world.disk.iterdir()) == []
    assert world.arrived() == b"one\ntwo\ntorn"


def test_the_log_of_an_hour_without_requests_leaves_nothing(world: World) -> None:
    world.log(b"")
    world.now = HOUR + 4000
    world.shipper().ship()
    assert list(world.disk.iterdir()) == []
    assert world.readers.served("toy") == []


def test_a_reader_that_had_the_pieces_reads_the_whole_as_the_same_log(world: World) -> None:
    shipper = world.shipper()
    world.log(b"one\n")
    shipper.ship()
    assert world.arrived() == b"one\n"
    world.log(b"two\n")
    world.now = HOUR + 4000
    shipper.ship()
    assert world.arrived() == b"one\ntwo\n"


@pytest.mark.parametrize("verb", ["create_file", "remove"])
def test_a_whole_that_was_interrupted_is_ended_by_the_next_ship(world: World, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    world.log(b"one\ntwo\n")
    world.shipper().ship()
    world.now, right = HOUR + 4000, getattr(FileObjects, verb)

    def interrupted(*given: Any) -> Any:
        if verb == "create_file":
            right(*given)
        raise UnavailableError("away")

    monkeypatch.setattr(FileObjects, verb, interrupted)
    with pytest.raises(UnavailableError):
        world.shipper().ship()
    assert world.arrived() == b"one\ntwo\n"
    monkeypatch.setattr(FileObjects, verb, right)
    world.shipper().ship()
    assert world.objects() == ["all"]
    assert world.arrived() == b"one\ntwo\n"
    assert list(world.disk.iterdir()) == []


def test_pieces_that_become_a_whole_while_they_are_read_are_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.log(b"one\ntwo\n")
    shipper, read_all, turns = world.shipper(), FileObjects.read_all, []
    shipper.ship()

    def meanwhile(self: FileObjects, names: Any) -> dict[str, bytes]:
        if not turns:
            turns.append(1)
            world.now = HOUR + 4000
            shipper.ship()
        return read_all(self, names)

    monkeypatch.setattr(FileObjects, "read_all", meanwhile)
    assert world.arrived() == b"one\ntwo\n"
    assert turns == [1]


def test_a_piece_that_is_missing_hides_what_follows_and_invents_nothing(world: World) -> None:
    shipper = world.shipper()
    for line in (b"one\n", b"two\n", b"three\n"):
        world.log(line)
        shipper.ship()
    (world.pieces / f"{4:020d}").unlink()
    assert world.arrived() == b"one\n"


def test_a_store_that_is_away_gets_everything_once_it_is_back(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    store, stop = Path(world.url.removeprefix("file://")), threading.Event()
    store.write_text("no folder")
    thread = threading.Thread(target=world.shipper().run, args=(stop.wait, 0.01), daemon=True)
    thread.start()
    world.log(b"one\n")
    wait_until(lambda: "could not write" in caplog.text, within=30)
    store.unlink()
    world.log(b"two\n")
    stop.set()
    thread.join(30)
    assert world.arrived() == b"one\ntwo\n"
    assert "try again" in caplog.text


@pytest.mark.parametrize(
    ("model", "version", "server"), [("../a", "1", "p"), ("a", "..", "p"), ("a", "", "p"), ("a", "1", "x/y")]
)
def test_a_name_that_leads_elsewhere_ships_nothing(tmp_path: Path, model: str, version: str, server: str) -> None:
    with pytest.raises(RefusedError, match="no id"):
        Shipper(FileObjects(f"file://{tmp_path}/store"), tmp_path, model, version, server)


def test_the_command_ships_the_rest_before_it_stops(world: World) -> None:
    env = {**os.environ, **Settings(home=world.disk.parent / "pod", store_url=world.url).to_environment()}
    names = ["--model", "toy", "--version", "1", "--server", "pod", "--every", "0.02"]
    command = [sys.executable, "-m", "sluicegate", "ship", "--log-dir", str(world.disk), *names]
    with process(command, env) as shipping:
        world.log(b"one\n", GROWING)
        wait_until(world.arrived, within=60)
        world.log(b"torn", GROWING)
        shipping.send_signal(signal.SIGTERM)
        assert shipping.wait(timeout=60) == 0
    assert world.arrived() == b"one\ntorn"


def test_kill_9_at_any_instant_neither_loses_nor_repeats_a_byte(world: World) -> None:
    env = {**os.environ, **Settings(home=world.disk.parent / "pod", store_url=world.url).to_environment()}
    whole = b"".join(b'{"n": %d}\n' % n for n in range(20_000))
    world.log(whole)
    for turn in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", SLOW, world.url, str(world.disk)], env=env, stdout=subprocess.PIPE
        ) as shipping:
            assert shipping.stdout is not None
            shipping.stdout.readline()
            time.sleep(0.003 * (turn + 1))
            shipping.kill()
    pieces = len(world.objects()) if world.pieces.exists() else 0
    assert pieces < 200
    assert whole.startswith(world.arrived())
    world.shipper().ship()
    assert world.arrived() == whole


SLOW = """
import pathlib, sys
from sluicegate.adapters.object_store import shipping
from sluicegate.adapters.object_store.drivers import FileObjects
shipping.PIECE = 1024
shipper = shipping.Shipper(FileObjects(sys.argv[1]), pathlib.Path(sys.argv[2]), "toy", "1", "pod", lambda: 1_792_080_060.0)
print("ready", flush=True)
shipper.ship()
"""
