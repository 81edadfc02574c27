"""The fence of aliases, at every instant at which another writer may come between two calls to MLflow."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from sluicegate.adapters.mlflow_registry.fence import Fence
from sluicegate.errors import StaleTokenError

CALLS = 5
"""Calls of a write that meets nobody: announce, look, point, look again, and a last look for what can be cleaned up."""


class World:
    """The part of MLflow that a fence uses, and the alias. Before call number `at` of the watched writer `happens` is run."""

    def __init__(self, at: int = -1, happens: Callable[[], None] = lambda: None) -> None:
        self.tags: dict[str, str] = {}
        self.alias: str | None = None
        self._left, self._happens = at, happens

    def count(self) -> None:
        self._left -= 1
        if self._left == -1:
            self._happens()

    def post(self, path: str, body: Mapping[str, str]) -> None:
        self.count()
        self.tags[body["key"]] = body["value"]

    def delete(self, path: str, body: Mapping[str, str]) -> None:
        self.count()
        self.tags.pop(body["key"], None)

    def get(self, path: str, **query: str) -> Any:
        self.count()
        return {"registered_model": {"tags": [{"key": k, "value": v} for k, v in self.tags.items()]}}

    def point(self, version: str | None) -> None:
        self.count()
        self.alias = version

    def write(self, number: int, version: str | None) -> None:
        Fence(self, "flights", "champion").write(number, version, self.point)  # type: ignore[arg-type]


class KilledError(Exception):
    """The process is gone."""


def _kill() -> None:
    raise KilledError


@pytest.mark.parametrize("newer", ["7", None])
@pytest.mark.parametrize("at", range(CALLS))
def test_a_newer_writer_that_comes_in_between_wins(at: int, newer: str | None) -> None:
    world = World(at, lambda: world.write(12, newer))
    with suppress(StaleTokenError):  # at its very last call it has nothing left to look at
        world.write(11, "5")
    assert world.alias == newer


@pytest.mark.parametrize("at", range(CALLS))
def test_an_older_writer_that_comes_in_between_is_refused_and_changes_nothing(at: int) -> None:
    refused: list[str] = []

    def late() -> None:
        try:
            world.write(11, "5")
        except StaleTokenError as e:
            refused.append(str(e))

    world = World(at, late)
    world.write(12, "7")
    assert world.alias == "7"
    assert bool(refused) == (at > 0)


@pytest.mark.parametrize("at", range(CALLS))
def test_two_newer_writers_one_after_the_other_in_between_end_with_the_newest(at: int) -> None:
    def both() -> None:
        world.write(12, "7")
        world.write(13, "8")

    world = World(at, both)
    with suppress(StaleTokenError):
        world.write(11, "5")
    assert world.alias == "8"


@pytest.mark.parametrize("at", range(CALLS))
def test_whoever_asks_again_after_a_kill_sets_it_right(at: int) -> None:
    world = World(at, _kill)
    with pytest.raises(KilledError):
        world.write(11, "5")
    world.write(12, "7")
    assert world.alias == "7"
    with pytest.raises(StaleTokenError):
        world.write(11, "5")
    assert world.alias == "7"


def test_only_the_newest_announcement_stays() -> None:
    world = World()
    for number in (9, 10, 100):
        world.write(number, "5")
    assert world.tags == {"sluicegate.fence.champion.100": "5"}
