"""Watch a stage: read, judge, journal, renew the lease. On harm the traffic is cut before anything else happens."""

from dataclasses import dataclass
from typing import Literal

from sluicegate.actions.release.read import rollout
from sluicegate.actions.release.stage import stage_route
from sluicegate.domain.compact import Base, pack, plain, trail, unpack
from sluicegate.domain.evidence import Reading
from sluicegate.domain.rollout import ENDS, Kind, Rollout
from sluicegate.domain.route import Route
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.errors import RefusedError, SluicegateError
from sluicegate.gates import Case, add, judge, open_case
from sluicegate.ports import Event, Ports

Decision = Literal["pass", "fail", "undecided", "held", "waiting", "lost"]


@dataclass(frozen=True)
class Look:
    """One look at the evidence."""

    verdict: StageVerdict
    decision: Decision
    """undecided: the deadline passed and the spec says revert; held: it says hold; lost: the rollout ended elsewhere."""

    @property
    def decided(self) -> bool:
        return self.decision in ("pass", "fail", "undecided", "lost")


class Watch:
    """Somebody who watches one stage. Holds nothing that the journal cannot give back."""

    def __init__(self, ports: Ports, state: Rollout, index: int, route: Route, seen: tuple[Case, Base], author: str) -> None:
        self._ports, self._state, self._index, self._route, self._author = ports, state, index, route, author
        self._case, self._base = seen
        self._record = state.records[index]

    @property
    def look_every(self) -> float:
        """Seconds between two looks."""
        return self._state.release.look_every

    def look(self) -> Look:
        """Read and judge once. A failing look has already cut the traffic when it returns."""
        reading = self._ports.meter.read(self._route, since=self._record.entered_at)
        case = add(self._case, reading)
        verdict = judge(case)
        decision = self._decide(verdict, reading)
        if decision in ("fail", "undecided"):
            self._ports.router.apply(self._route.cut())
        try:
            self._write(verdict, reading, decision)
            self._case = case  # not before: a reading that the journal lacks must not bear on a verdict that it has
            if self._route.weight and decision in ("pass", "waiting", "held"):
                expires_at = self._ports.clock.now() + self._state.release.lease
                self._ports.router.renew(self._state.model, self._state.token, expires_at)
        except RefusedError as e:  # fenced off, or the lease ran out before this look: the traffic is with the champion already
            return Look(StageVerdict(Verdict.INCONCLUSIVE, "lost", str(e)), "lost")
        return Look(verdict, decision)

    def _decide(self, verdict: StageVerdict, reading: Reading) -> Decision:
        if verdict.verdict is Verdict.PASS:
            return "pass"
        if verdict.verdict is Verdict.FAIL:
            return "fail"
        late = reading.taken_at - self._record.entered_at > self._state.stages[self._index].deadline_s
        if not late or verdict.frozen:
            return "waiting"
        return "undecided" if self._state.release.undecided == "revert" else "held"

    def _write(self, verdict: StageVerdict, reading: Reading, decision: Decision) -> None:
        packed = pack(reading, self._base)
        evidence = {"index": self._index, "reading": packed, "verdict": verdict.verdict, "reason": verdict.reason}
        event = self._append(Kind.EVIDENCE, evidence | {"digest": verdict.digest})
        self._base = unpack(packed, event.number, self._base)
        if decision in ("fail", "undecided"):
            self._append(Kind.CUT, {"index": self._index, "reason": verdict.reason if decision == "fail" else "deadline"})
        if decision in ("pass", "fail", "undecided"):
            self._append(Kind.STAGE_DECIDED, self._decided(verdict, decision))

    def _append(self, kind: Kind, data: dict[str, object]) -> Event:
        state = self._state
        return self._ports.journal.append(state.model, state.rollout_id, kind, data, author=self._author, token=state.token)

    def _decided(self, verdict: StageVerdict, decision: Decision) -> dict[str, object]:
        failed = [g.gate for g in verdict.gates if g.verdict is Verdict.FAIL]
        gate = failed[0] if decision == "fail" and failed else None
        reason = verdict.reason if decision != "undecided" else "deadline"
        return {"index": self._index, **verdict.to_dict(), "gate": gate, "reason": reason}


def open_watch(ports: Ports, model: str, rollout_id: str, index: int, *, author: str) -> Watch:
    """Begin, or after a crash go on, watching stage `index`: the case is rebuilt from the journaled readings.

    A weight that the guard took away is given back once. Raises RefusedError when the stage is not the present one, or when the
    weight is gone and the guard did not take it: then a judge cut it, and died before it could say so.
    """
    state = rollout(ports, model, rollout_id)
    if not state.open or state.cut_at is not None or index != state.next_stage - 1 or state.records[index].verdict is not None:
        raise RefusedError(f"stage {index} of rollout '{rollout_id}' is not open: nothing to watch")
    route = stage_route(ports, state, index)
    seen = _replay(ports, state, index)
    now = ports.router.read(model)
    if now is None or now.weight != route.weight or now.mirror != route.mirror:
        _refuse_to_resume(ports, state, index)
        data = {"index": index, "weight": route.weight}
        ports.journal.append(model, rollout_id, Kind.RESUMED, data, author=author, token=state.token, unless=ENDS)
        ports.router.apply(route)
    return Watch(ports, state, index, route, seen, author)


def _refuse_to_resume(ports: Ports, state: Rollout, index: int) -> None:
    """Only what the guard took is given back, and only once a stage."""
    since = _entry(ports, state, index).number
    kinds = (Kind.TROUBLE, Kind.RESUMED)
    told = [e.kind for e in ports.journal.events(state.model, state.rollout_id, after=since, kinds=kinds)]
    if Kind.TROUBLE not in told or Kind.RESUMED in told:
        raise RefusedError(f"the traffic of stage {index} of rollout '{state.rollout_id}' was taken away: it is not given back")


def _entry(ports: Ports, state: Rollout, index: int) -> Event:
    entered = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.STAGE_ENTERED,))
    return next(e for e in entered if e.data["index"] == index)


def _replay(ports: Ports, state: Rollout, index: int) -> tuple[Case, Base]:
    """The case as the journaled readings of this stage make it, and the newest of them."""
    if state.predicted is None:
        raise SluicegateError(f"rollout '{state.rollout_id}' has no prediction from the offline comparison: it cannot be judged")
    entry = _entry(ports, state, index)
    newest = start = Base(entry.number, plain(entry.data["baseline"]))
    case = open_case(state.release, state.stages[index], state.predicted, start.reading, state.score_range)
    looks = ports.journal.events(state.model, state.rollout_id, after=entry.number, kinds=(Kind.EVIDENCE,))
    for newest in trail(start, ((look.number, look.data["reading"]) for look in looks)):
        case = add(case, newest.reading)
    return case, newest
