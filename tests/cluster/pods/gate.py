"""The way to the store, which counts trainings from outside and can hold one at a place in its work.

A training *began* in a pod that read its snapshot. It is *complete* when the store has taken the last file of its result under the
name of its attempt. Its result is *committed* when the store has made the marker, which it does once for each order.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from tests.cluster.pods.rig import PATIENT_S

from sluicegate.testing.relay import Address, Heard, Relay

_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")
_ANSWER = re.compile(rb"(?:HTTP/1\.1 100 [^\r]*\r\n(?:[^\r]+\r\n)*\r\n)?HTTP/1\.1 ([2-5]\d\d) ")


class Place(Enum):
    """Where a training can be held: what it asks of the store there."""

    READING = r"GET \S+/snapshots/files/"
    WRITING = r"PUT \S+/results/files/[^/]+/[^/]+/order\.json"
    COMMITTING = r"PUT \S+/results/committed/"


@dataclass(frozen=True)
class Asked:
    """A request to the store."""

    client: str
    """Address of whoever asked."""
    what: str
    """Method and path."""
    status: int = 0


class Gate(Relay):
    """One order's way to the store, for its pods and for its tasks."""

    def __init__(self, to: Address, host: str) -> None:
        super().__init__(to, host)
        self.asked: list[Asked] = []
        self._held_at: re.Pattern[str] | None = None
        self.arrived, self._go = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def hold(self, place: Place) -> None:
        """Whoever comes to this place first gets no answer before `let_go`; the store has carried out the request by then."""
        self._held_at = re.compile(place.value)

    def let_go(self) -> None:
        self._go.set()

    def wait(self) -> None:
        """Until somebody is held."""
        assert self.arrived.wait(PATIENT_S), f"nobody came to {self._held_at}: {self.asked[-20:]}"

    @property
    def began(self) -> set[str]:
        """Addresses of the pods in which a training began."""
        return {one.client for one in self._answered(Place.READING.value)}

    @property
    def complete(self) -> set[str]:
        """Attempts whose result is whole in the store."""
        return {one.what.split("/")[-2] for one in self._answered(r"PUT \S+/results/files/[^/]+/[^/]+/result\.json$")}

    @property
    def committed(self) -> list[str]:
        """Markers of results that the store has made, one for each time."""
        return [one.what for one in self._answered(Place.COMMITTING.value)]

    def heard(self, client: Address) -> tuple[Heard, Heard]:
        waiting: list[Asked] = []

        def there(content: bytes) -> None:
            if found := _REQUEST.match(content):
                waiting.append(Asked(client[0], f"{found[1].decode()} {found[2].decode()}"))

        def back(content: bytes) -> None:
            if waiting and (found := _ANSWER.match(content)):
                told = replace(waiting.pop(), status=int(found[1]))
                self.asked.append(told)
                self._stop(told)

        return there, back

    def _stop(self, told: Asked) -> None:
        if self._held_at and told.status < 300 and self._held_at.match(told.what) and not self.arrived.is_set():
            self.arrived.set()
            self._go.wait(PATIENT_S)

    def _answered(self, pattern: str) -> Iterator[Asked]:
        return (one for one in list(self.asked) if one.status < 300 and re.match(pattern, one.what))
