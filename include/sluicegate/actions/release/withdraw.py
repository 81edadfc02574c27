"""A watcher that can read nothing takes the stage's traffic away, and gives it back when evidence returns.

Not seeing is neither a pass nor a breach: the rollout stays open and the stage keeps its deadline. But nobody is exposed for longer
than `release.blind` without somebody who can see.
"""

from sluicegate.actions.release.stage import stage_route
from sluicegate.domain.notice import Notice
from sluicegate.domain.rollout import ENDS, Kind, Rollout
from sluicegate.domain.route import Route
from sluicegate.ports import Ports

EVIDENCE_BACK = "evidence_back"
MOST = 3
"""Times that one stage's traffic is given back: evidence that comes and goes more often is no evidence."""


def withdraw(ports: Ports, state: Rollout, route: Route, *, reason: str, blind_for: float, author: str) -> Notice:
    """All traffic to the champion; the journal first, so that it is known to be no breach."""
    record = state.records[-1]
    message = f"nothing could be read for {blind_for:.0f} s: stage {record.index} has no traffic until evidence returns"
    data = {"index": record.index, "weight": route.weight, "mirror": route.mirror, "reason": reason, "message": message}
    event = ports.journal.append(
        state.model, state.rollout_id, Kind.WITHDRAWN, data, author=author, reason=reason, token=state.token, unless=ENDS
    )
    ports.router.apply(route.cut())
    numbers = {"stage": record.index, "weight": route.weight, "mirror": route.mirror, "blind_for_s": blind_for}
    return Notice(state.model, state.rollout_id, "withdrawn", event.at, author, reason, message, numbers)


def may_give_back(state: Rollout, now: float) -> bool:
    """A lease after the withdrawal at the earliest: longer gaps between two readings do not count for the share of the traffic."""
    return (
        state.withdrawn_at is not None
        and now - state.withdrawn_at > state.release.lease
        and state.records[-1].withdrawals <= MOST
    )


def give_back(ports: Ports, state: Rollout, index: int, *, author: str) -> Route:
    """The stage's traffic again, journaled first; returns its route."""
    route = stage_route(ports, state, index)
    data = {"index": index, "weight": route.weight, "reason": EVIDENCE_BACK}
    ports.journal.append(
        state.model, state.rollout_id, Kind.RESUMED, data, author=author, reason=EVIDENCE_BACK, token=state.token, unless=ENDS
    )
    ports.router.apply(route)
    return route


def told(state: Rollout, why_blind: str) -> str:
    """One sentence about a withdrawn stage."""
    times = state.records[-1].withdrawals
    if why_blind:
        return f"nothing can be read ({why_blind}): the traffic stays with the champion"
    if times > MOST:
        return f"evidence was lost {times} times at this stage: the traffic is not given back any more"
    return "evidence is back: the traffic is given back after a lease without it"
