"""The fake of the Incidents port: lists of what was recorded and told."""

from sluicegate.domain.notice import Notice
from sluicegate.errors import UnavailableError


class MemoryIncidents:
    """Implements the Incidents port. `full` and `deaf` make it fail as a full disk and a dead receiver do."""

    def __init__(self) -> None:
        self.recorded: dict[str, Notice] = {}
        self.told: list[Notice] = []
        self.full = self.deaf = False

    def record(self, notice: Notice) -> str:
        if self.full:
            raise UnavailableError("the incident cannot be written: make room on the disk")
        self.recorded[notice.key] = notice
        return f"memory:{notice.key}"

    def tell(self, notice: Notice) -> None:
        if self.deaf:
            raise UnavailableError("the receiver does not answer")
        self.told.append(notice)
