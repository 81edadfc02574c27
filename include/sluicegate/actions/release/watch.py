"""Watch a stage: read, judge, journal, renew the lease. On harm the traffic is cut before anything else happens."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from sluicegate.actions.journal.code import judge_code
from sluicegate.actions.release import withdraw
from sluicegate.actions.release.cut import last_token
from sluicegate.actions.release.evidence import Seen, blind, stage_entry, stage_seen
from sluicegate.actions.release.people import may_leave_undecided, overdue
from sluicegate.actions.release.read import STATE_KINDS, newer_candidate, rollout_upto
from sluicegate.actions.release.stage import read_evidence, stage_route
from sluicegate.domain.compact import pack, unpack
from sluicegate.domain.evidence import Reading
from sluicegate.domain.notice import Notice
from sluicegate.domain.rollout import APPROVED_UNDECIDED, ENDS, Kind, Outcome, Rollout, after
from sluicegate.domain.route import Route
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.errors import RefusedError, StaleTokenError
from sluicegate.gates import Case, add, judge
from sluicegate.ports import Event, Ports

Decision = Literal["pass", "fail", "undecided", "superseded", "held", "waiting", "withdrawn", "lost"]
CUTS = {"fail": "", "undecided": "deadline", "superseded": "superseded"}
"""Decisions that end the rollout, and why; a FAIL has the judge's reason."""


@dataclass(frozen=True)
class Look:
    """One look at the evidence."""

    verdict: StageVerdict
    decision: Decision
    """undecided: the deadline passed and the spec says revert; superseded: a newer candidate takes over; held: a person is waited
    for; withdrawn: nothing can be read, so the traffic is with the champion until evidence returns; lost: ended elsewhere."""
    why: str = ""
    """What is waited for, when it is held."""
    notice: Notice | None = None
    """What people must be told now."""

    @property
    def decided(self) -> bool:
        return self.decision in ("pass", "lost", *CUTS)


class Watch:
    """Somebody who watches one stage. Holds nothing that the journal cannot give back."""

    def __init__(self, ports: Ports, known: tuple[Rollout, int], index: int, route: Route, seen: Seen, author: str) -> None:
        self._ports, self._index, self._route, self._author = ports, index, route, author
        self._state, self._number = known
        self._case, self._base, self._usable_at = seen.case, seen.base, seen.usable_at
        self._told_at = 0.0
        self._away = False
        """Whether the traffic of a withdrawn stage was taken away: that it is journaled is only the intent."""

    @property
    def look_every(self) -> float:
        """Seconds between two looks."""
        return self._state.release.look_every

    def look(self) -> Look:
        """Read and judge once. A failing look has already cut the traffic when it returns."""
        since = self._state.records[self._index].entered_at
        reading = read_evidence(self._ports, self._state, self._route, since=since)
        case = add(self._case, reading)
        verdict = judge(case)
        if verdict.verdict is Verdict.FAIL:
            self._cut()
        try:
            self._catch_up()
            return self._settle(case, reading, verdict)
        except RefusedError as e:  # fenced off, or the lease ran out before this look: the traffic is with the champion already
            return Look(StageVerdict(Verdict.INCONCLUSIVE, "lost", str(e)), "lost")

    def _settle(self, case: Case, reading: Reading, verdict: StageVerdict) -> Look:
        """Decide, journal, renew: in this order, so that nothing is held on a reading that the journal lacks."""
        why_blind = blind(case)
        if self._state.withdrawn_at is not None and verdict.verdict is not Verdict.FAIL:
            return self._look_from_afar(reading, why_blind)
        self._usable_at = self._usable_at if why_blind else reading.taken_at
        decision, why = self._decide(verdict, reading, seeing=not why_blind)
        if decision in CUTS:
            self._cut()
        self._write(case, verdict, reading, decision)
        if decision in ("waiting", "held") and reading.taken_at - self._usable_at >= self._state.release.blind_s:
            return self._withdraw(verdict, reading, why_blind)
        if self._route.weight and decision in ("pass", "waiting", "held"):
            expires_at = reading.taken_at + self._state.release.lease  # held on what was read, however late it is written
            self._ports.router.renew(self._state.model, self._state.token, expires_at)
        return Look(verdict, decision, why, self._ask(verdict, reading, why) if decision == "held" else None)

    def _decide(self, verdict: StageVerdict, reading: Reading, *, seeing: bool) -> tuple[Decision, str]:
        state, record, stage = self._state, self._state.records[self._index], self._state.stages[self._index]
        if verdict.verdict is Verdict.FAIL:
            return "fail", ""
        if state.paused_at is not None:
            return "held", "paused"
        if state.release.newer == "supersede" and newer_candidate(self._ports, state) is not None:
            return "superseded", ""
        if verdict.verdict is Verdict.PASS:
            return ("pass", "") if record.approved or not stage.approve else ("held", "approval")
        if not overdue(state, reading.taken_at) or (verdict.frozen and seeing):
            return "waiting", ""
        if state.release.undecided == "revert":
            return "undecided", ""
        return ("pass", "") if record.approved and may_leave_undecided(state, self._index, verdict) else ("held", "deadline")

    def _ask(self, verdict: StageVerdict, reading: Reading, why: str) -> Notice | None:
        """Ask a person, once a stage."""
        state, record = self._state, self._state.records[self._index]
        if why == "paused" or record.asked:
            return None
        self._append(Kind.APPROVAL_ASKED, {"index": self._index, "reason": why})
        what = "approval_asked" if why == "approval" else "held"
        numbers = {"stage": self._index, "weight": record.weight}
        return Notice(
            state.model, state.rollout_id, what, reading.taken_at, self._author, verdict.reason, verdict.message, numbers
        )

    def _withdraw(self, verdict: StageVerdict, reading: Reading, why_blind: str) -> Look:
        state = self._state
        seconds = reading.taken_at - self._usable_at
        notice = withdraw.withdraw(self._ports, state, self._route, reason=why_blind, blind_for=seconds, author=self._author)
        self._away = True
        return Look(verdict, "withdrawn", why_blind, notice)

    def _look_from_afar(self, reading: Reading, why_blind: str) -> Look:
        """While the traffic is withdrawn readings decide nothing: only the deadline does, or that evidence is back."""
        if not self._away:
            self._ports.router.apply(self._route.cut())
            self._away = True
        decision: Decision = "withdrawn"
        verdict = StageVerdict(Verdict.INCONCLUSIVE, "withdrawn", withdraw.told(self._state, why_blind))
        if self._state.paused_at is None and overdue(self._state, reading.taken_at):
            decision = "undecided" if self._state.release.undecided == "revert" else "withdrawn"
        if decision == "undecided":
            self._cut()
            self._end(verdict, decision)
        elif not why_blind and withdraw.may_give_back(self._state, reading.taken_at):
            self._away = False
            self._route = withdraw.give_back(self._ports, self._state, self._index, author=self._author)
            self._usable_at = reading.taken_at
        elif reading.taken_at - self._told_at >= self._state.release.lease:
            self._append(Kind.LOOKED, {"index": self._index, "reason": why_blind})
            self._told_at = reading.taken_at
        return Look(verdict, decision, why_blind)

    def _write(self, case: Case, verdict: StageVerdict, reading: Reading, decision: Decision) -> None:
        packed = pack(reading, self._base)
        evidence = {"index": self._index, "reading": packed, "verdict": verdict.verdict, "reason": verdict.reason}
        event = self._append(Kind.EVIDENCE, evidence | {"digest": verdict.digest, "judge": judge_code()})
        self._base = unpack(packed, event.number, self._base)
        self._case = case  # not before: a reading that the journal lacks must not bear on a verdict that it has
        if decision in ("pass", *CUTS):
            self._end(verdict, decision)

    def _end(self, verdict: StageVerdict, decision: Decision) -> None:
        """Journal how the stage ended; a superseded one has no verdict."""
        if decision in CUTS:
            outcome = Outcome.SUPERSEDED if decision == "superseded" else Outcome.REVERTED
            cut = {"index": self._index, "reason": CUTS[decision] or verdict.reason, "outcome": outcome}
            self._append(Kind.CUT, cut, unless=(Kind.PROMOTED, Kind.REVERTED))
        if decision != "superseded":
            self._append(Kind.STAGE_DECIDED, self._decided(verdict, decision))

    def _decided(self, verdict: StageVerdict, decision: Decision) -> dict[str, object]:
        failed = [g.gate for g in verdict.gates if g.verdict is Verdict.FAIL]
        gate = failed[0] if decision == "fail" and failed else None
        reason = CUTS.get(decision) or verdict.reason
        if decision == "pass" and verdict.verdict is not Verdict.PASS:
            reason = APPROVED_UNDECIDED
        return {"index": self._index, **verdict.to_dict(), "gate": gate, "reason": reason}

    def _cut(self) -> None:
        """Under the rollout's last token: whoever enters one of its stages late gives no weight any more."""
        with suppress(StaleTokenError):  # whoever fenced this watcher off has cut, or has a traffic of its own
            self._ports.router.apply(replace(self._route.cut(), token=last_token(self._state)))

    def _append(self, kind: Kind, data: dict[str, object], unless: tuple[Kind, ...] = ()) -> Event:
        state, author = self._state, self._author
        return self._ports.journal.append(
            state.model, state.rollout_id, kind, data, author=author, token=state.token, unless=unless
        )

    def _catch_up(self) -> None:
        """Learn what others have journaled since: a pause, an approval, an end."""
        state = self._state
        for event in self._ports.journal.events(state.model, state.rollout_id, after=self._number, kinds=STATE_KINDS):
            self._state, self._number = after(self._state, event.at, event.kind, event.data), event.number
        if not self._state.open or self._state.cut_at is not None:
            raise RefusedError(f"rollout '{state.rollout_id}' of model '{state.model}' was ended elsewhere")


def open_watch(ports: Ports, model: str, rollout_id: str, index: int, *, author: str) -> Watch:
    """Begin, or after a crash go on, watching stage `index`: the case is rebuilt from the journaled readings.

    A weight that the guard took away is given back once. Raises RefusedError when the stage is not the present one, or when the
    weight is gone and neither guard nor watcher took it: then a judge cut it, and died before it could say so.
    """
    known = state, _ = rollout_upto(ports, model, rollout_id)
    present = 0 <= index == state.next_stage - 1 and state.records[index].verdict is None
    if not present or not state.open or state.cut_at is not None:
        raise RefusedError(f"stage {index} of rollout '{rollout_id}' is not open: nothing to watch")
    route = stage_route(ports, state, index)
    seen = stage_seen(ports, state, index)
    now = ports.router.read(model)
    if state.withdrawn_at is not None:
        if now is not None and (now.weight or now.mirror):
            ports.router.apply(route.cut())
    elif now is None or now.weight != route.weight or now.mirror != route.mirror:
        _refuse_to_resume(ports, state, index)
        data = {"index": index, "weight": route.weight, "reason": "watched_again"}
        ports.journal.append(model, rollout_id, Kind.RESUMED, data, author=author, token=state.token, unless=ENDS)
        ports.router.apply(route)
    return Watch(ports, known, index, route, seen, author)


def _refuse_to_resume(ports: Ports, state: Rollout, index: int) -> None:
    """Only what the guard took is given back, and only once a stage."""
    since = stage_entry(ports, state, index).number
    kinds = (Kind.TROUBLE, Kind.RESUMED)
    told = ports.journal.events(state.model, state.rollout_id, after=since, kinds=kinds)
    again = any(e.kind == Kind.RESUMED and e.data.get("reason") != withdraw.EVIDENCE_BACK for e in told)
    if again or all(e.kind != Kind.TROUBLE for e in told):
        raise RefusedError(f"the traffic of stage {index} of rollout '{state.rollout_id}' was taken away: it is not given back")
