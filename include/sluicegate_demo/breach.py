"""How long a breach lasted: from the instant at which the evidence at the servers sufficed for FAIL to the last request that the
gateway gave the candidate. Recomputed afterwards from the servers' own prediction logs and the journal.

The readings are as journaled until the last look before the cut at which both versions could be read. From there on the counters
are advanced, every STEP seconds, by what the prediction logs show to have been answered by then, and the judge is asked; its first
FAIL is the breach. Where the logs cannot show it (errors that only the gateway saw), the breach begins at that last look.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sluicegate.actions.release import rollout
from sluicegate.domain.compact import Base, plain, trail
from sluicegate.domain.evidence import SCORE_BINS, ArmCounters, Reading
from sluicegate.domain.rollout import Kind, Rollout
from sluicegate.domain.route import bucket
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import Case, add, judge, open_case
from sluicegate.ports import Ports

STEP = 0.005
"""Resolution of the recomputed instant, seconds."""


@dataclass(frozen=True)
class Breach:
    """One recomputed breach; times in seconds since the epoch."""

    began_at: float
    """The evidence sufficed for FAIL."""
    judged_at: float
    """The look that saw it was taken."""
    last_candidate_request_at: float

    @property
    def to_zero_ms(self) -> float:
        """Never below zero: the answer that made the evidence suffice may belong to the last request."""
        return _ms(self.last_candidate_request_at - self.began_at)

    @property
    def sensor_ms(self) -> float:
        """Of it, until the look that saw it."""
        return _ms(self.judged_at - self.began_at)

    @property
    def cut_ms(self) -> float:
        """Of it, from the beginning of that look: reading, judging, cutting, and the gateway's last request."""
        return _ms(self.last_candidate_request_at - self.judged_at)


def _ms(seconds: float) -> float:
    return max(0.0, round(1000 * seconds, 1))


def breach(ports: Ports, model: str, rollout_id: str) -> Breach | None:
    """The breach that ended a split stage, or None when the rollout did not fail at one."""
    state = rollout(ports, model, rollout_id)
    failed = state.records[-1] if state.records else None
    if failed is None or failed.kind != "split" or failed.verdict != "FAIL" or state.champion is None:
        return None
    case, before, last = _journaled(ports, state, failed.index)
    logs = ports.requests.served(model)
    answers = {v: list(_answers(p for p in logs if p.parent.name == v)) for v in (state.champion, state.candidate)}
    began_at = _first_fail(case, before, last, answers[state.champion], answers[state.candidate], state)
    served = [a["asked_at"] for a in answers[state.candidate] if a["asked_at"] >= failed.entered_at]
    return Breach(began_at, last.taken_at, max(served, default=last.taken_at))


def _journaled(ports: Ports, state: Rollout, index: int) -> tuple[Case, Reading, Reading]:
    """The case before the failing look, the reading before it, and the failing look's reading."""
    events = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.STAGE_ENTERED, Kind.EVIDENCE))
    first, *looks = [e for e in events if e.data["index"] == index]
    entry = Base(first.number, plain(first.data["baseline"]))
    assert state.predicted is not None  # a judged rollout has a prediction
    case = open_case(state.release, state.stages[index], state.predicted, entry.reading, state.score_range)
    readings = [base.reading for base in trail(entry, ((look.number, look.data["reading"]) for look in looks))]
    known = max((n for n, r in enumerate(readings[:-1]) if r.champion and r.candidate), default=-1)  # both arms were read
    for reading in readings[: known + 1]:
        case = add(case, reading)
    return case, readings[known] if known >= 0 else entry.reading, readings[-1]


def _first_fail(case: Case, before: Reading, last: Reading, champion: list[Any], candidate: list[Any], state: Rollout) -> float:
    """First instant after `before` at which the advanced counters make the judge say FAIL; `before` itself if none is found."""
    low, high = state.score_range
    old, new = _counted_at(before.champion, champion, before.taken_at), _counted_at(before.candidate, candidate, before.taken_at)
    start = min(old, new)
    champion, candidate = ([a for a in logged if start < _finished(a) <= last.taken_at] for logged in (champion, candidate))
    for number in range(1, int((last.taken_at - start) / STEP) + 2):
        now = start + number * STEP
        reading = replace(
            last,
            taken_at=before.taken_at + number * STEP,  # the judge takes no reading that is older than the one before
            champion=_advanced(before.champion, champion, old, now, low, high),
            candidate=_advanced(before.candidate, candidate, new, now, low, high),
        )
        if judge(add(case, reading)).verdict is Verdict.FAIL:
            return now
    return before.taken_at


def _counted_at(arm: ArmCounters | None, answers: list[Any], taken_at: float) -> float:
    """When a version had answered as much as the reading says: what Prometheus scraped is up to some seconds older than the reading."""
    if arm is None:
        return taken_at
    finished = sorted(at for answer in answers if (at := _finished(answer)) > arm.started_at)
    counted = sum(arm.requests)
    return min(taken_at, finished[counted - 1]) if 0 < counted <= len(finished) else taken_at


def _finished(answer: dict[str, Any]) -> float:
    return float(answer["asked_at"] + answer["latency_us"] / 1e6)


def _advanced(
    arm: ArmCounters | None, answers: list[Any], since: float, until: float, low: float, high: float
) -> ArmCounters | None:
    """The counters after the answers that were finished in (since, until]."""
    if arm is None:
        return None
    requests, decisions, histogram = list(arm.requests), list(arm.decisions), list(arm.score_histogram)
    sums, squares = list(arm.score_sum), list(arm.score_square_sum)
    slow = {bound: list(counts) for bound, counts in arm.slow.items()}
    for answer in answers:
        if not since < _finished(answer) <= until:
            continue
        place, score = bucket(answer["user"]), answer["score"]
        requests[place] += 1
        decisions[place] += bool(answer["decision"])
        sums[place] += score
        squares[place] += score * score
        histogram[min(SCORE_BINS - 1, max(0, int((score - low) / (high - low) * SCORE_BINS)))] += 1
        for bound, counts in slow.items():
            counts[place] += answer["latency_us"] > 1000 * float(bound)
    return replace(
        arm,
        requests=tuple(requests),
        decisions=tuple(decisions),
        score_sum=tuple(sums),
        score_square_sum=tuple(squares),
        score_histogram=tuple(histogram),
        slow={bound: tuple(counts) for bound, counts in slow.items()},
    )


def answers(logs: Iterable[Path]) -> int:
    """How many answers to users are logged."""
    return sum(1 for _ in _answers(logs))


def _answers(logs: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Logged answers to users; a torn last line is left out."""
    for path in logs:
        for line in path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["role"] == "answer":
                yield entry
