"""Replay: judge every journaled look again, from the journal alone, and compare the verdicts bit for bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluicegate.domain.chain import Row
from sluicegate.domain.compact import Base, plain, since, trail
from sluicegate.domain.rollout import Kind, Rollout, fold
from sluicegate.errors import InputError
from sluicegate.gates import Case, add, judge, open_case
from sluicegate.ports.archive import Archive

KEPT = 8
"""Newest looks whose case is at hand; an older one (two watchers at once) is judged again from the stage's beginning."""


@dataclass(frozen=True)
class Difference:
    """A verdict that does not come out again."""

    number: int
    """Of the event."""
    journaled: str
    replayed: str
    judge: str = ""
    """The judge's code when it was journaled (`judge_code`); empty in older journals."""


@dataclass
class Replayed:
    """What replaying one rollout gave."""

    model: str
    rollout_id: str
    looks: int = 0
    exact: int = 0
    """Looks whose whole verdict (all gates, numbers, messages) was compared; the others, of older journals, by verdict and reason."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return not self.differences


def replay(archive: Archive, model: str | None = None, rollout_id: str | None = None) -> list[Replayed]:
    """Every rollout with judged looks (of this model, with this id), in the order in which they were opened."""
    open_ones: dict[tuple[str, str], _Replay] = {}
    newest: dict[str, _Replay] = {}
    with archive.read() as book:
        for row in book.rows:
            if row.model != (model or row.model) or row.rollout != (rollout_id or row.rollout):
                continue
            if row.kind in (Kind.OPENED, Kind.STAGE_ENTERED, Kind.EVIDENCE):
                known = open_ones.setdefault((row.model, row.rollout), _Replay(row.model, row.rollout))
                if row.kind == Kind.OPENED:  # the lock has passed on: nobody can look at the rollout before it any more
                    newest.pop(row.model, known).forget()
                    newest[row.model] = known
                known.take(row)
    return [one.result for one in open_ones.values() if one.result.looks]


class _Replay:
    """One rollout on its way through its events."""

    def __init__(self, model: str, rollout_id: str) -> None:
        self.result = Replayed(model, rollout_id)
        self._plan: Rollout | None = None
        self._stages: dict[int, _Stage] = {}
        """By index: a late watcher of the stage before may still write when the next one is entered."""

    def take(self, row: Row) -> None:
        try:
            data = json.loads(row.data)
            if row.kind == Kind.OPENED:
                self._plan = fold(row.model, row.rollout, [(row.at, row.kind, data)])
            elif row.kind == Kind.STAGE_ENTERED:
                self._enter(row.number, data)
            else:
                self._look(row.number, data)
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(f"event {row.number} ({row.kind}) cannot be replayed ({e!r}): verify the journal") from e

    def forget(self) -> None:
        """Let go of the evidence, which is most of a journal."""
        self._stages.clear()

    def _enter(self, number: int, data: Mapping[str, Any]) -> None:
        if int(data["index"]) not in self._stages:  # of two who enter at once the first one counts
            self._stages[int(data["index"])] = _Stage(self._opened(), number, data)

    def _opened(self) -> Rollout:
        if self._plan is None:
            raise ValueError("its rollout was never opened")
        return self._plan

    def _look(self, number: int, data: Mapping[str, Any]) -> None:
        stage = self._stages.get(int(data["index"]))
        if stage is None:
            raise ValueError("its stage was never entered")
        verdict = judge(stage.add(number, data["reading"]))
        self.result.looks += 1
        self.result.exact += "digest" in data
        journaled = (data["verdict"], data["reason"], data.get("digest", verdict.digest))
        replayed = (verdict.verdict.value, verdict.reason, verdict.digest)
        if journaled != replayed:
            difference = Difference(number, " ".join(journaled), " ".join(replayed), str(data.get("judge", "")))
            self.result.differences.append(difference)


class _Stage:
    """The cases of one stage."""

    def __init__(self, plan: Rollout, number: int, data: Mapping[str, Any]) -> None:
        if plan.predicted is None:
            raise ValueError("its rollout has no prediction")
        self._entry = Base(number, plain(data["baseline"]))
        stage = plan.stages[int(data["index"])]
        self._begin = open_case(plan.release, stage, plan.predicted, self._entry.reading, plan.score_range)
        self._packed: dict[int, Mapping[str, Any]] = {}
        self._seen: dict[int, tuple[Case, Base]] = {number: (self._begin, self._entry)}

    def add(self, number: int, packed: Mapping[str, Any]) -> Case:
        """The case after the look of event `number`: that of the event it stands on, and its reading."""
        parent = since(packed)
        parent = max(self._packed, default=self._entry.number) if parent is None else parent
        case, before = self._seen.get(parent) or self._from_the_beginning(parent)
        self._packed[number] = packed
        (newest,) = trail(before, [(number, packed)])
        self._seen[number] = add(case, newest.reading), newest
        while len(self._seen) > KEPT:
            del self._seen[min(self._seen)]
        return self._seen[number][0]

    def _from_the_beginning(self, number: int) -> tuple[Case, Base]:
        case, newest = self._begin, self._entry
        for newest in trail(self._entry, ((n, p) for n, p in self._packed.items() if n <= number)):
            case = add(case, newest.reading)
        return case, newest
