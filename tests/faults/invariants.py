"""The eight invariants, judged on what was seen from outside. Pure: records in, violations out; each one is proven by a doctored record.

1 weight needs a lease · 2 splits sum to 100 and only grow by the plan · 3 one rollout a model, no stale writer · 4 promotion needs a
PASS of every stage · 5 no row is lost · 6 one version a training · 7 no request fails because of a release · 8 every rollout ends
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.records import End, Entry, Held, Hit, Records, Request, Shown

from sluicegate.domain.route import PARTS, position

GRACE_S = 1.0
"""From the end of a lease to the last request that the gateway may give the candidate: the guard's pause, and a busy machine."""
LAG_S = 0.4
"""Between a change and the witness's sight of it."""
ENDS_WITHIN_S = 60.0
"""Beyond the lease, from the last restart to the end of a rollout."""
ENDS = ("PROMOTED", "REVERTED")
OF_THE_LIVING = ("DEPLOYED", "STAGE_ENTERED", "RESUMED", "EVIDENCE", "STAGE_DECIDED", *ENDS)
"""What a rollout that has ended must not write any more."""
EVERYTHING = ("gateway", "supervisor")
"""Targets without which nobody is answered."""


@dataclass(frozen=True)
class Violation:
    """One thing that must never happen, and did."""

    invariant: int
    lane: str
    at: float
    what: str


@dataclass(frozen=True)
class _Given:
    """A weight that a rollout had for some time."""

    lane: str
    salt: str
    weight: int
    since: float
    until: float


class Spans:
    """Stretches of time, and whether a request falls into one of them, also when there are a million requests."""

    def __init__(self, spans: Iterable[tuple[float, float]]) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        for begin, end in sorted(spans):
            if self._ends and begin <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._begins.append(begin)
                self._ends.append(end)

    def meet(self, request: Request) -> bool:
        """Whether some instant between its sending and its answer is in a stretch."""
        place = bisect_right(self._begins, request.done) - 1
        return place >= 0 and request.sent <= self._ends[place]


def violations(records: Records) -> list[Violation]:
    """All of them, by invariant."""
    return [violation for check in CHECKS for violation in check(records)]


def exposure_without_lease(records: Records) -> Iterator[Violation]:
    """1: the candidate answers only while a lease lives; GRACE_S later at most it has no user left."""
    alive = {lane: Spans(_leases(records, lane)) for lane in {held.lane for held in records.held}}
    for request in records.requests:
        if request.arm == "candidate" and not alive.get(request.lane, Spans(())).meet(request):
            yield Violation(1, request.lane, request.sent, f"request {request.id} was answered by the candidate without a lease")


def splits(records: Records) -> Iterator[Violation]:
    """2: what the gateway has sums to 100, is the weight of an entered stage, and goes nowhere but up or to 0."""
    top: Counter[str] = Counter()
    entered = [e for e in records.journal if e.kind == "STAGE_ENTERED"]
    for seen in sorted(records.shown, key=lambda s: s.at):
        if seen.total != PARTS:
            yield Violation(2, seen.lane, seen.at, f"the split sums to {seen.total / PARTS:.2%}")
        if not seen.weight:
            continue
        if not any(_allows(entry, seen) for entry in entered):
            yield Violation(
                2, seen.lane, seen.at, f"weight {seen.weight} of rollout {seen.salt} belongs to no stage that was entered"
            )
        if seen.weight < top[seen.salt]:
            yield Violation(2, seen.lane, seen.at, f"weight {seen.weight} of rollout {seen.salt} came after {top[seen.salt]}")
        top[seen.salt] = max(top[seen.salt], seen.weight)


def assignment(records: Records) -> Iterator[Violation]:
    """2: who is answered by the candidate belongs to its users: nested in every weight of the rollout, the same at every request."""
    given: dict[str, list[_Given]] = defaultdict(list)
    for one in _all_given(records):
        given[one.lane].append(one)
    for request in records.requests:
        if request.arm != "candidate":
            continue
        present = [g for g in given[request.lane] if _meet(request, g.since - LAG_S, g.until + GRACE_S)]
        if not any(position(g.salt, request.user) < g.weight * (PARTS // 100) for g in present):
            yield Violation(2, request.lane, request.sent, f"user {request.user} was given to the candidate and is not its user")


def one_rollout(records: Records) -> Iterator[Violation]:
    """3: rollouts of a model follow one another, with growing tokens; who has ended writes nothing any more."""
    for lane in {entry.lane for entry in records.journal}:
        yield from _one_rollout_of(lane, [e for e in records.journal if e.lane == lane and e.rollout])
        held = [h for h in records.held if h.lane == lane]
        for one, other in pairwise(held):
            if other.token < one.token:
                yield Violation(3, lane, other.at, f"token {other.token} wrote the route after token {one.token}")


def promotions(records: Records) -> Iterator[Violation]:
    """4: every stage of a promoted rollout passed, on evidence that was taken while it lasted."""
    for promoted in [e for e in records.journal if e.kind == "PROMOTED"]:
        mine = [e for e in records.journal if (e.lane, e.rollout) == (promoted.lane, promoted.rollout)]
        opened = next(e for e in mine if e.kind == "OPENED")
        plan = range(len(opened.data["release"]["stages"])) if opened.data["champion"] else ()
        for index in plan:
            if not _passed(mine, index, promoted.number):
                yield Violation(
                    4, promoted.lane, promoted.at, f"rollout {promoted.rollout} was promoted without a PASS of stage {index}"
                )


def rows(records: Records) -> Iterator[Violation]:
    """5: rows in = accepted + quarantined + duplicates, and all that landed are in."""
    for report in records.ledgers:
        rows_in, kept = report["in"], report["accepted"] + report["quarantined"] + report["duplicate"]
        if not report["landed"] == rows_in == kept:
            what = f"{report['landed']} rows of {report['name']} landed, {rows_in} were taken, {kept} are accounted for"
            yield Violation(5, report["lane"], 0.0, what)


def versions(records: Records) -> Iterator[Violation]:
    """6: one version a training, and nothing is released that the registry does not have."""
    for end in records.ends:
        for key, times in Counter(end.registered.values()).items():
            if times > 1:
                yield Violation(6, end.lane, 0.0, f"training {key} made {times} versions")
        for key in end.unmade:
            yield Violation(6, end.lane, 0.0, f"training {key} was registered and has no committed result")
        opened = {str(e.data["candidate"]) for e in records.journal if e.lane == end.lane and e.kind == "OPENED"}
        for version in sorted(opened - set(end.registered)):
            yield Violation(6, end.lane, 0.0, f"version {version} was released and is not in the registry")


def failures(records: Records) -> Iterator[Violation]:
    """7: a request fails only when it, or the gateway, was hit itself."""
    for request in records.requests:
        if request.failed and blamed(request, records.hits) is None:
            got = request.status or request.why
            yield Violation(7, request.lane, request.sent, f"request {request.id} got {got} and nothing that it needs was hit")


def ends(records: Records) -> Iterator[Violation]:
    """8: every rollout ends within the lease and a minute of the last restart, and journal, gateway and registry agree."""
    for lane, rollout, seconds in endings(records):
        if seconds is None or seconds > records.lease + ENDS_WITHIN_S:
            how = "has not ended" if seconds is None else f"ended {seconds:.1f} s after the last restart"
            yield Violation(8, lane, 0.0, f"rollout {rollout} {how}")
    for sentence in records.stuck:
        yield Violation(8, "", 0.0, sentence)
    for end in records.ends:
        yield from _agreement(end)


def endings(records: Records) -> list[tuple[str, str, float | None]]:
    """Lane, rollout, and seconds from the last restart before its end; None when it is open. Rollouts that met no fault are not there."""
    ended = {(e.lane, e.rollout): e.at for e in reversed(records.journal) if e.kind in ENDS}
    met = sorted({name for hit in records.hits for name in hit.open})
    found: list[tuple[str, str, float | None]] = []
    for lane, rollout in (name.split("/") for name in met):
        at = ended.get((lane, rollout))
        backs = [hit.back_at for hit in records.hits if f"{lane}/{rollout}" in hit.open and (at is None or hit.at < at)]
        found.append((lane, rollout, None if at is None else max(0.0, at - max(backs, default=at))))
    return found


def blamed(request: Request, hits: list[Hit]) -> Hit | None:
    """The fault that explains a failed request, if one does.

    A dead gateway answers nobody; a dead champion loses what it had in hand, a hanging one what it is asked. All other targets
    explain nothing.
    """
    for hit in hits:
        if hit.target in EVERYTHING and _meet(request, hit.at, hit.back_at + LAG_S):
            return hit
        mine = hit.target == "champion" and hit.lane == request.lane
        if mine and _meet(request, hit.at, hit.at if hit.how == "kill" else hit.back_at + LAG_S):
            return hit
    return None


def _meet(request: Request, since: float, until: float) -> bool:
    return request.sent <= until and request.done >= since


def _all_given(records: Records) -> Iterator[_Given]:
    """As the gateway showed it, and as it was written: a weight may come and go between two sights of a busy witness."""
    for seen in records.shown:
        if seen.weight:
            yield _Given(seen.lane, seen.salt, seen.weight, seen.at, seen.until)
    salts = {(e.lane, int(e.data["token"])): e.rollout for e in records.journal if e.kind == "OPENED"}
    for lane in {held.lane for held in records.held}:
        held = [h for h in records.held if h.lane == lane]
        for lease, following in pairwise(held):
            if lease.weight and (lane, lease.token) in salts:
                yield _Given(lane, salts[lane, lease.token], lease.weight, lease.at, following.at)


def _leases(records: Records, lane: str) -> Iterator[tuple[float, float]]:
    """When the lane's candidate may have users; while guard or gateway are down nobody can take them away."""
    held = [h for h in records.held if h.lane == lane]
    for place, lease in enumerate(held):
        if lease.weight:
            yield lease.at - LAG_S, _lease_end(lease, held[place + 1] if place + 1 < len(held) else None)
    for hit in records.hits:
        if hit.target in ("guard", *EVERYTHING):
            yield hit.at, hit.back_at + GRACE_S


def _lease_end(lease: Held, following: Held | None) -> float:
    end = lease.expires_at or lease.at
    if following is not None and not following.weight:
        end = min(end, following.at)
    return end + GRACE_S


def _allows(entered: Entry, seen: Shown) -> bool:
    mine = (entered.lane, entered.rollout) == (seen.lane, seen.salt)
    return mine and int(entered.data["weight"]) == seen.weight and entered.at <= seen.at + LAG_S


def _one_rollout_of(lane: str, entries: list[Entry]) -> Iterator[Violation]:
    holder, token, over = "", 0, set[str]()
    for entry in entries:
        if entry.kind == "OPENED":
            if holder:
                yield Violation(3, lane, entry.at, f"rollout {entry.rollout} was opened while {holder} was open")
            if int(entry.data["token"]) <= token:
                yield Violation(3, lane, entry.at, f"rollout {entry.rollout} got token {entry.data['token']} after {token}")
            holder, token = entry.rollout, int(entry.data["token"])
        elif entry.rollout in over and entry.kind in OF_THE_LIVING:
            yield Violation(3, lane, entry.at, f"rollout {entry.rollout} had ended and wrote {entry.kind}")
        elif entry.kind in ENDS:
            over.add(entry.rollout)
            holder = ""


def _passed(mine: list[Entry], index: int, before: int) -> bool:
    """Entered, looked at, then decided PASS by gates that all say PASS or were allowed to end an early stage."""
    entered = next((e for e in mine if e.kind == "STAGE_ENTERED" and e.data["index"] == index), None)
    decided = next((e for e in mine if e.kind == "STAGE_DECIDED" and e.data["index"] == index), None)
    if entered is None or decided is None or not entered.number < decided.number < before:
        return False
    looked = [e for e in mine if e.kind == "EVIDENCE" and entered.number < e.number < decided.number]
    failed = [gate for gate in decided.data.get("gates", ()) if gate["verdict"] == "FAIL"]
    return bool(looked) and decided.data["verdict"] == "PASS" and bool(decided.data.get("gates")) and not failed


def _agreement(end: End) -> Iterator[Violation]:
    facts: Mapping[str, bool] = {
        f"the gateway has version {end.routed} as champion, the journal {end.champion}": end.routed != end.champion,
        f"the registry's alias is version {end.alias}, the journal says {end.champion}": end.alias != end.champion,
        f"the gateway still gives the candidate {end.weight} %": end.weight != 0,
        f"{end.holder} still holds the lock": end.holder is not None,
    }
    for sentence, broken in facts.items():
        if broken:
            yield Violation(8, end.lane, 0.0, sentence)


CHECKS: tuple[Callable[[Records], Iterator[Violation]], ...] = (
    exposure_without_lease,
    splits,
    assignment,
    one_rollout,
    promotions,
    rows,
    versions,
    failures,
    ends,
)
