"""The table of a run: what was hit where, how it ended, how long it took, what it cost the clients."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.faults.invariants import ENDS, Violation, blamed, endings
from tests.faults.records import Hit, Records, Request
from tests.faults.tape import STEPS
from tests.faults.targets import SERVERS

NOTED_S = 0.3
"""The guard cuts first and tells the journal then; before that nobody gives the weight back."""


def table(records: Records, found: Sequence[Violation]) -> str:
    """Plain text for a terminal."""
    lines = [*_rounds(records), "", *_matrix(records), "", *_targets(records), "", *_requests(records), "", *_violations(found)]
    return "\n".join(lines)


def summary(records: Records, found: Sequence[Violation]) -> dict[str, object]:
    """The same in figures."""
    seconds = sorted(s for _, _, s in endings(records) if s is not None)
    outcomes = Counter(e.kind for e in records.journal if e.kind in ENDS)
    failed, late = [r for r in records.requests if r.failed], overruns(records)
    return {
        "rounds": len(records.hits),
        "rollouts_hit": len(endings(records)),
        "rollouts_ended": dict(outcomes),
        "seconds_to_end": {f"p{q}": quantile(seconds, q) for q in (50, 90, 100)},
        "leases_ended": len(late),
        "candidate_after_lease_s": {f"p{q}": quantile(late, q) for q in (50, 99, 100)},
        "requests": len(records.requests),
        "failed": len(failed),
        "failed_why": dict(Counter(f"{r.status or r.why}" for r in failed)),
        "violations": [f"{v.invariant} {v.lane} {v.what}" for v in found],
    }


def quantile(ordered: Sequence[float], percent: int) -> float | None:
    """The value below which so many percent lie; None of nothing."""
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2) if ordered else None


def _rounds(records: Records) -> Iterable[str]:
    ended = {f"{e.lane}/{e.rollout}": e for e in reversed(records.journal) if e.kind in ENDS}
    yield f"{'round':>5} {'how':4} {'target':16} {'step':9} {'back s':>7} {'met':>3} {'outcome':22} {'end s':>6} {'failed':>6}"
    for hit in records.hits:
        ends = [ended[name] for name in hit.open if name in ended]
        outcome = ", ".join(f"{n} {kind}" for kind, n in Counter(e.kind for e in ends).items()) or "none was open"
        last = max((e.at - hit.back_at for e in ends), default=0.0)
        lost = sum(blamed(r, [hit]) is not None for r in records.requests if r.failed)
        open_still = len(hit.open) - len(ends)
        yield (
            f"{hit.number:5} {hit.how:4} {hit.target:16} {hit.step:9} {hit.back_at - hit.at:7.2f} {len(hit.open):3} "
            f"{outcome + (f', {open_still} open' if open_still else ''):22} {last:6.1f} {lost:6}"
        )


def _matrix(records: Records) -> Iterable[str]:
    """Target × step: how often it was hit there, and how the rollouts ended that it met there."""
    ended = {f"{e.lane}/{e.rollout}": e.kind for e in reversed(records.journal) if e.kind in ENDS}
    seen = {h.step for h in records.hits}
    steps = [*(step for step in STEPS if step in seen), *sorted(seen - set(STEPS))]
    yield f"{'hits: promoted/reverted':24}" + "".join(f"{step:>13}" for step in steps)
    for how, target in sorted({(h.how, h.target) for h in records.hits}):
        cells = []
        for step in steps:
            hits = [h for h in records.hits if (h.how, h.target, h.step) == (how, target, step)]
            kinds = Counter(ended.get(name, "") for h in hits for name in h.open if name.startswith(f"{h.lane}/"))
            cells.append(f"{len(hits)}: {kinds['PROMOTED']}/{kinds['REVERTED']}" if hits else "")
        yield f"{how + ' ' + target:24}" + "".join(f"{cell:>13}" for cell in cells)


def _targets(records: Records) -> Iterable[str]:
    by_target: dict[tuple[str, str], list[Hit]] = defaultdict(list)
    for hit in records.hits:
        by_target[hit.how, hit.target].append(hit)
    failed = [r for r in records.requests if r.failed]
    answered = sorted((r for r in records.requests if not r.failed), key=lambda r: r.sent)
    yield (
        f"{'how':4} {'target':16} {'rounds':>6} {'back p50 s':>10} {'back max s':>10} "
        f"{'slowest s':>9} {'failed':>7} {'refused':>8} {'share':>9}"
    )
    for (how, target), hits in sorted(by_target.items()):
        back = sorted(h.back_at - h.at for h in hits)
        mine = [r for r in failed if blamed(r, hits) is not None]
        refused = sum(r.why == "refused" for r in mine)
        share = len(mine) / max(1, len(records.requests))
        yield (
            f"{how:4} {target:16} {len(hits):6} {quantile(back, 50):10.2f} {back[-1]:10.2f} "
            f"{max(slowest(answered, hit) for hit in hits):9.2f} {len(mine) - refused:7} {refused:8} {share:9.4%}"
        )


def overruns(records: Records) -> list[float]:
    """For each lease that the guard ended: seconds from its end to the last request that the candidate was given, sorted."""
    given = [r for r in records.requests if r.arm == "candidate"]
    found = []
    for entry in (e for e in records.journal if e.kind == "TROUBLE" and (e.data.get("route") or {}).get("expires_at")):
        end, lane = float(entry.data["route"]["expires_at"]), entry.lane
        late = [r.sent - end for r in given if r.lane == lane and end < r.sent < entry.at + NOTED_S]
        found.append(max(late, default=0.0))
    return sorted(found)


def slowest(answered: Sequence[Request], hit: Hit) -> float:
    """Longest time in which a request was answered that the fault met; a server's fault meets its own lane. Sorted by `sent`."""
    since = bisect_left(answered, hit.at - 1.0, key=lambda r: r.sent)
    until = bisect_left(answered, hit.back_at, key=lambda r: r.sent)
    own = hit.target in SERVERS
    return max((r.done - r.sent for r in answered[since:until] if r.lane == hit.lane or not own), default=0.0)


def _requests(records: Records) -> Iterable[str]:
    facts = summary(records, ())
    ends = ", ".join(f"{n} {kind}" for kind, n in dict(facts["rollouts_ended"]).items())  # type: ignore[call-overload]
    yield f"{facts['requests']} requests, {facts['failed']} without an answer of a model: {facts['failed_why']}"
    after = facts["candidate_after_lease_s"]
    yield f"{facts['leases_ended']} leases ended unrenewed; seconds from there to the candidate's last request: {after}"
    yield f"rollouts: {ends}; {facts['rollouts_hit']} were hit; seconds from the last restart to the end: {facts['seconds_to_end']}"


def _violations(found: Sequence[Violation]) -> Iterable[str]:
    yield f"{len(found)} violated invariants"
    for violation in found[:50]:
        yield f"  {violation.invariant}: {violation.lane} at {violation.at:.3f}: {violation.what}"
