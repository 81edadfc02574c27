"""The watcher of the landing area: once for every new whole file."""

import asyncio
from pathlib import Path

import pytest

from sluicegate.adapters.folder_landing import FolderLanding
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings
from sluicegate_airflow.arrival import LandingTrigger

EVERY = 0.01


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLUICEGATE_HOME", str(tmp_path))
    folder = tmp_path / "landing" / "toy"
    folder.mkdir(parents=True)
    return folder


def told(*steps) -> list[list[str]]:
    """Files of every event that a fresh trigger fires while the steps are taken, some looks after each."""

    async def watch() -> list[list[str]]:
        events: list[list[str]] = []

        async def collect() -> None:
            async for event in LandingTrigger("toy", every=EVERY).run():
                events.append(event.payload["files"])

        task = asyncio.create_task(collect())
        for step in (*steps, lambda: None):
            await asyncio.sleep(10 * EVERY)
            step()
        await asyncio.sleep(10 * EVERY)
        task.cancel()
        return events

    return asyncio.run(watch())


def test_a_file_that_landed_is_told_once(landing: Path) -> None:
    assert told(lambda: (landing / "a.csv").write_text("1")) == [["a.csv"]]


def test_files_that_land_one_after_the_other_are_told_one_after_the_other(landing: Path) -> None:
    assert told(lambda: (landing / "a.csv").write_text("1"), lambda: (landing / "b.csv").write_text("2")) == [
        ["a.csv"],
        ["b.csv"],
    ]


def test_another_file_under_a_name_that_was_taken_is_told_again(landing: Path) -> None:
    def replace() -> None:
        (landing / "a.csv").unlink()
        (landing / "a.csv").write_text("22")

    assert told(lambda: (landing / "a.csv").write_text("1"), replace) == [["a.csv"], ["a.csv"]]


def test_a_watcher_that_starts_again_tells_what_still_waits(landing: Path) -> None:
    (landing / "a.csv").write_text("1")
    assert told() == [["a.csv"]]
    assert told() == [["a.csv"]]


def test_a_file_that_is_still_being_written_is_not_told(landing: Path) -> None:
    async def watch() -> list[object]:
        events: list[object] = []

        async def collect() -> None:
            async for event in LandingTrigger("toy", every=0.1).run():
                events.append(event)

        task = asyncio.create_task(collect())
        with (landing / "growing.csv").open("a") as file:
            for _ in range(25):
                file.write("row\n")
                file.flush()
                await asyncio.sleep(0.02)
        task.cancel()
        return events

    assert asyncio.run(watch()) == []


def test_a_store_that_is_away_for_a_while_ends_no_watch(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (landing / "a.csv").write_text("1")
    look, away = FolderLanding.look, iter(range(3))

    def sometimes(self: FolderLanding, model: str) -> object:
        if next(away, None) is not None:
            raise UnavailableError("the store does not answer")
        return look(self, model)

    monkeypatch.setattr(FolderLanding, "look", sometimes)
    assert told() == [["a.csv"]]


def test_hidden_files_folders_and_an_absent_folder_are_nothing(landing: Path, tmp_path: Path) -> None:
    (landing / ".half.csv").write_text("1")
    (landing / "folder").mkdir()
    area = FolderLanding(Settings(home=tmp_path))
    assert area.look("toy") == {}
    assert area.look("absent") == {}


def test_the_trigger_survives_being_written_down(landing: Path) -> None:
    path, kwargs = LandingTrigger("toy").serialize()
    assert path == "sluicegate_airflow.arrival.LandingTrigger"
    assert LandingTrigger(**kwargs).serialize() == (path, kwargs)
