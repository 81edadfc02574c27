"""Reads the journal as it grows and says where each lane stands."""

from collections.abc import Iterable

from tests.faults.lanes import WEIGHTS
from tests.faults.records import Entry

from sluicegate.domain.rollout import Kind
from sluicegate.ports import Journal

ENDS = (Kind.PROMOTED, Kind.REVERTED)
STEPS = ("opened", "deployed", "mirror", *(f"{w} %" for w in WEIGHTS[1:]), "promoted")
"""Where a rollout can be hit."""


class Tape:
    """All events but the evidence, in the order in which they came."""

    def __init__(self, journal: Journal, lanes: Iterable[str]) -> None:
        self._journal = journal
        self._lanes = tuple(lanes)
        self._read = dict.fromkeys(self._lanes, 0)
        self.entries: list[Entry] = []

    def wind(self) -> list[Entry]:
        """What is new."""
        news = [entry for lane in self._lanes for entry in self._of(lane)]
        self.entries += news
        return news

    def step(self, lane: str) -> str:
        """Where the lane's newest rollout stands; empty when none is under way."""
        mine = [e for e in self.entries if e.lane == lane and e.rollout]
        for entry in reversed(mine):
            match entry.kind:
                case Kind.OPENED:
                    return "opened"
                case Kind.DEPLOYED:
                    return "deployed"
                case Kind.STAGE_ENTERED:
                    weight = int(entry.data["weight"])
                    return f"{weight} %" if weight else "mirror"
                case Kind.PROMOTED:
                    return "promoted"
                case Kind.REVERTED | Kind.RETIRED:
                    return ""
        return ""

    def open(self) -> tuple[str, ...]:
        """Rollouts that were opened and have not ended, as lane/rollout."""
        ended = {(e.lane, e.rollout) for e in self.entries if e.kind in ENDS}
        opened = [(e.lane, e.rollout) for e in self.entries if e.kind == Kind.OPENED]
        return tuple(f"{lane}/{rollout}" for lane, rollout in opened if (lane, rollout) not in ended)

    def versions(self, lane: str) -> tuple[str, str]:
        """The champion in service and the candidate of the rollout under way; empty where there is none."""
        mine = [e for e in self.entries if e.lane == lane]
        promoted = [str(e.data["candidate"]) for e in mine if e.kind == Kind.PROMOTED]
        opened = [e for e in mine if e.kind == Kind.OPENED]
        going = bool(opened) and f"{lane}/{opened[-1].rollout}" in self.open()
        return promoted[-1] if promoted else "", str(opened[-1].data["candidate"]) if going else ""

    def _of(self, lane: str) -> list[Entry]:
        kinds = tuple(k for k in Kind if k is not Kind.EVIDENCE)
        news = self._journal.events(lane, after=self._read[lane], kinds=kinds)
        if news:
            self._read[lane] = news[-1].number
        return [Entry(e.number, e.at, lane, e.rollout, str(e.kind), e.author, dict(e.data)) for e in news]
