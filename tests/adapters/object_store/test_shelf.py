"""Folders in a store: whole or absent, the first wins, and what a killed writer left is nobody's."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.adapters.object_store.cache import Cache
from sluicegate.adapters.object_store.drivers import FileObjects, open_store
from sluicegate.adapters.object_store.shelf import Shelf
from sluicegate.errors import InputError, RefusedError, UnavailableError
from sluicegate.settings import Settings


class World:
    def __init__(self, root: Path) -> None:
        self.root, self.place = root, root / "store"
        self.url = f"file://{self.place}"

    def shelf(self, home: str = "home", objects: FileObjects | None = None) -> Shelf:
        """The store as another machine sees it."""
        return Shelf(objects or FileObjects(self.url), Cache(self.root / home, self.url))

    def folder(self, text: str) -> Path:
        folder = self.root / f"work-{text}"
        (folder / "deep").mkdir(parents=True)
        for name in ("a", "b", "deep/c"):
            (folder / name).write_text(text)
        return folder

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.place)) for path in self.place.rglob("*") if path.is_file())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def texts(folder: Path | None) -> set[str]:
    assert folder is not None
    return {path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_of_eight_machines_that_commit_at_once_one_wins_and_nothing_of_the_others_stays(world: World) -> None:
    folders, won = [world.folder(str(n)) for n in range(8)], []
    start = threading.Barrier(8)

    def commit(number: int) -> None:
        start.wait()
        if world.shelf(f"home{number}").commit("results", "k", folders[number]):
            won.append(str(number))

    machines = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join()
    assert len(won) == 1
    assert texts(world.shelf("reader").fetch("results", "k")) == set(won)
    assert len(world.files()) == 4  # three files and the marker


def test_nothing_is_visible_before_the_marker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: FileObjects, name: str, content: bytes) -> bool:
        raise UnavailableError("away")

    monkeypatch.setattr(FileObjects, "create", refused)
    with pytest.raises(UnavailableError):
        world.shelf().commit("results", "k", world.folder("one"))
    assert len(world.files()) == 3
    assert world.shelf().fetch("results", "k") is None
    assert world.shelf().markers("results") == {}


def test_what_a_killed_writer_left_goes_with_the_next_commit_of_the_name(world: World) -> None:
    left = world.place / "results" / "files" / "k" / "killed"
    left.mkdir(parents=True)
    (left / "a").write_text("half")
    (left / ".new-1").write_text("ha")
    world.shelf().commit("results", "k", world.folder("one"))
    assert texts(world.shelf("reader").fetch("results", "k")) == {"one"}
    assert not [name for name in world.files() if "killed" in name]


def test_an_answer_that_was_lost_does_not_lose_the_victory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    create = FileObjects.create

    def lost(self: FileObjects, name: str, content: bytes) -> bool:
        create(self, name, content)
        monkeypatch.setattr(FileObjects, "create", create)
        raise UnavailableError("the answer was lost")

    monkeypatch.setattr(FileObjects, "create", lost)
    assert world.shelf().commit("results", "k", world.folder("one"))


def test_a_store_that_replaces_what_it_should_not_is_refused_at_the_first_commit(world: World) -> None:
    class Careless(FileObjects):
        def create(self, name: str, content: bytes) -> bool:
            self.write(name, content)
            return True

    with pytest.raises(InputError, match="If-None-Match"):
        world.shelf(objects=Careless(world.url)).commit("results", "k", world.folder("one"))


def test_a_file_that_was_altered_in_the_store_is_never_handed_out(world: World) -> None:
    world.shelf().commit("results", "k", world.folder("one"))
    for name in world.files():
        if name.endswith("/deep/c"):
            (world.place / name).unlink()
            (world.place / name).write_text("two")
    reader = world.shelf("reader")
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"deep/c of file://.* is not what was committed"):
            reader.fetch("results", "k")


def test_a_folder_is_fetched_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.shelf().commit("results", "k", world.folder("one"))
    reader = world.shelf("reader")
    first = reader.fetch("results", "k")
    monkeypatch.setattr(FileObjects, "download", None)
    assert reader.fetch("results", "k") == first


@pytest.mark.parametrize("name", ["../k", "a/b", "", ".k", "k\n", "k" * 200, "k\0", "?versionId=1", "*", "ž"])
def test_a_name_that_leads_elsewhere_is_refused(world: World, name: str) -> None:
    with pytest.raises(RefusedError, match="no id"):
        world.shelf().commit("results", name, world.folder("one"))
    with pytest.raises(RefusedError, match="no id"):
        world.shelf().fetch("results", name)


@pytest.mark.parametrize("url", ["ftp://host/place", "abfs://a/b", ""])
def test_a_kind_of_store_in_which_two_could_win_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="s3://, file://"):
        open_store(url)


def test_profile_kubernetes_without_a_store_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SLUICEGATE_STORE_URL"):
        ObjectStore(Settings(home=tmp_path, profile="kubernetes"))


def test_copies_make_room_longest_unused_first_but_not_under_a_reader(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "file:///x", most_bytes=250, in_use=3600)

    def copy(version: str, hours: float) -> Path:
        place = cache.folder("kind/name", version, lambda to: (to / "file").write_bytes(b"x" * 100) and None)
        os.utime(place, (time.time() - 3600 * hours,) * 2)
        return place

    oldest, old, young = copy("1", 3), copy("2", 2), copy("3", 0.5)
    newest = copy("4", 0)
    assert [place.exists() for place in (oldest, old, young, newest)] == [False, False, True, True]
    more = [copy(version, 0) for version in ("5", "6")]
    assert all(place.exists() for place in (young, newest, *more))  # all in use: more room is taken than was meant


WRITER = """
import pathlib, sys
from sluicegate.adapters.object_store.cache import Cache
from sluicegate.adapters.object_store.drivers import FileObjects
from sluicegate.adapters.object_store.shelf import Shelf
shelf = Shelf(FileObjects(sys.argv[1]), Cache(pathlib.Path(sys.argv[2]), sys.argv[1]))
print("ready", flush=True)
shelf.commit("results", "k", pathlib.Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_kill_9_at_any_instant_of_a_commit_leaves_all_or_nothing(world: World) -> None:
    folder = world.folder("one")
    for number in range(60):
        (folder / f"more{number}").write_text("one")
    for turn in range(5):
        command = [sys.executable, "-c", WRITER, world.url, str(world.root / "writer"), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.01 * turn)
            writer.send_signal(signal.SIGKILL)
        found = world.shelf(f"reader{turn}").fetch("results", "k")
        assert found is None or len([path for path in found.rglob("*") if path.is_file()]) == 63
    world.shelf().commit("results", "k", folder)
    assert len(world.files()) == 64  # of all tries one, and the marker
    assert texts(world.shelf("last").fetch("results", "k")) == {"one"}
