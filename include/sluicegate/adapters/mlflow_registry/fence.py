"""Aliases that a late writer cannot turn back.

MLflow has no compare-and-set, so every writer first announces what it is about to write, as a tag of the model under its own
number, then looks whether a newer one is announced, writes the alias, and looks again: whoever finds a newer announcement after
its write carries that one out. What remains: a writer that is killed between its write and its second look leaves the older
version, until the same is asked for again (the journal, not the alias, decides who is champion).
"""

from collections.abc import Callable

from sluicegate.adapters.mlflow_registry.rest import AbsentError, Rest
from sluicegate.errors import RefusedError, StaleTokenError

Point = Callable[[str | None], None]
"""Writes the alias, or removes it."""


class Fence:
    """The announcements for one alias of one model."""

    def __init__(self, rest: Rest, model: str, alias: str) -> None:
        self._rest, self._model, self._alias = rest, model, alias
        self._prefix = f"sluicegate.fence.{alias}."

    def write(self, number: int, version: str | None, point: Point) -> None:
        """Let `point` write the alias, unless a larger number was announced (StaleTokenError)."""
        try:
            self._announce(number, version)
        except AbsentError:
            point(version)  # the registry does not know the model: there is nothing to fence off
            return
        try:
            self._refuse_older(number)
            point(version)
        except RefusedError:
            self._withdraw(number)
            raise
        self._carry_out_newer(number, point)
        for older in [n for n in self._announced() if n < number]:
            self._withdraw(older)

    def _announce(self, number: int, version: str | None) -> None:
        tag = {"name": self._model, "key": f"{self._prefix}{number}", "value": version or ""}
        self._rest.post("registered-models/set-tag", tag)

    def _announced(self) -> dict[int, str | None]:
        tags = self._rest.get("registered-models/get", name=self._model)["registered_model"].get("tags", [])
        mine = {str(t["key"]).removeprefix(self._prefix): t.get("value") or None for t in tags if self._prefix in str(t["key"])}
        return {int(number): version for number, version in mine.items() if number.isdecimal()}

    def _withdraw(self, number: int) -> None:
        try:
            self._rest.delete("registered-models/delete-tag", {"name": self._model, "key": f"{self._prefix}{number}"})
        except AbsentError:
            return

    def _refuse_older(self, number: int) -> None:
        newest = max(self._announced(), default=number)
        if newest > number:
            raise self._stale(number, newest)

    def _carry_out_newer(self, number: int, point: Point) -> None:
        carried = number
        while (newest := max(announced := self._announced(), default=number)) > carried:
            point(announced[newest])
            carried = newest
        if carried != number:
            raise self._stale(number, carried)

    def _stale(self, number: int, newest: int) -> StaleTokenError:
        return StaleTokenError(f"alias '{self._alias}' of '{self._model}' was written for event {newest}, after event {number}")
