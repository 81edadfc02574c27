"""Tells people what happened, and keeps a record of it."""

from typing import Protocol

from sluicegate.domain.notice import Notice


class Incidents(Protocol):
    def record(self, notice: Notice) -> str:
        """Keep the notice for good and return where; the same key again replaces its record. UnavailableError when there is no room."""
        ...

    def tell(self, notice: Notice) -> None:
        """Deliver it to whoever is named in the settings; UnavailableError when the receiver does not take it. Told twice is allowed."""
        ...
