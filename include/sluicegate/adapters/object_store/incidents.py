"""Incidents as objects: incidents/<model>/<key>.json. Pods come and go, what they recorded stays."""

import json
from collections.abc import Callable
from pathlib import Path

from sluicegate.adapters.object_store.objects import Objects
from sluicegate.domain.notice import Notice
from sluicegate.errors import InputError, RefusedError
from sluicegate.folders import child


class ObjectIncidents:
    """Implements the Incidents port.

    Parameters
    ----------
    tell : delivers a notice to people; that is the same wherever it is kept.
    """

    def __init__(self, objects: Objects, tell: Callable[[Notice], None]) -> None:
        self._objects, self._tell = objects, tell

    def record(self, notice: Notice) -> str:
        try:
            name = f"incidents/{child(Path(), notice.model)}/{child(Path(), notice.key)}.json"
        except RefusedError as e:
            raise InputError(f"'{notice.model}' and '{notice.rollout}' cannot name an incident: {e}") from e
        self._objects.write(name, json.dumps(notice.to_dict(), indent=1, default=str).encode())
        return f"{self._objects.url}/{name}"

    def tell(self, notice: Notice) -> None:
        self._tell(notice)
