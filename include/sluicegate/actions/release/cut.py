"""The cut: all traffic to the champion, now. It needs the gateway alone, never the journal's leave."""

from dataclasses import replace

from sluicegate.domain.rollout import Kind, Rollout
from sluicegate.domain.route import Route, Target
from sluicegate.errors import SluicegateError, UnavailableError
from sluicegate.ports import Ports

QUIET_FOR = 0.3
"""Seconds during which the gateway must count no new candidate request before a cut is called verified."""
LOOKS = 5
"""How often the gateway's counters are read again: requests that were under way at the cut may still be counted."""


def last_token(state: Rollout) -> int:
    """Token of a rollout's last write to the router: one above its own, which no rollout ever holds, so that late writes are stale."""
    return state.token + 1


def cut(ports: Ports, state: Rollout) -> Route | None:
    """Cut under the rollout's last token; returns the route as it was, None when the gateway knows none or did not say.

    A stage that is being entered at this very moment cannot give weight any more, and a route of a newer rollout is left alone.
    """
    try:
        route = ports.router.read(state.model)
    except UnavailableError:
        _cut_unseen(ports, state)
        return None
    if route is not None and route.token <= last_token(state):
        ports.router.apply(replace(route.cut(), token=last_token(state)))
    return route


def cut_now(ports: Ports, model: str, rollout_id: str | None = None) -> Route | None:
    """Cut whatever has traffic beside the champion, and fence its rollout off, without asking the journal.

    With an id only that rollout is cut. Returns the route as it was, or None when there was nothing to cut.
    """
    route = ports.router.read(model)
    if route is None or not (route.weight or route.mirror) or rollout_id not in (None, route.salt):
        return None
    ports.router.apply(replace(route.cut(), token=route.token + 1))
    return route


def verify(ports: Ports, state: Rollout, route: Route | None) -> dict[str, object]:
    """Look at the gateway's own counters until they stand still. UnavailableError when the gateway does not answer."""
    now = ports.router.read(state.model)
    if now is not None and now.token <= last_token(state) and (now.weight or now.mirror):
        share = f"weight {now.weight} and mirror {now.mirror}"
        raise SluicegateError(
            f"the gateway still gives version {state.candidate} of model '{state.model}' {share}: look at its log"
        )
    if route is None or route.candidate is None:
        return {"verified": True, "candidate_requests_after_cut": 0}
    counts = [_candidate_requests(ports, route)]
    while len(counts) <= LOOKS and None not in counts and (len(counts) < 2 or counts[-1] != counts[-2]):
        ports.clock.sleep(QUIET_FOR)
        counts.append(_candidate_requests(ports, route))
    first, last = counts[0], counts[-1]
    if first is None or last is None:
        return {"verified": False, "candidate_requests_after_cut": -1}
    return {"verified": counts[-2] == last, "candidate_requests_after_cut": last - first}


def _cut_unseen(ports: Ports, state: Rollout) -> None:
    """Write the cut for a gateway that does not answer: it is what the gateway will read when it comes back."""
    deployed = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.DEPLOYED,))
    if state.champion is None or not deployed:
        return  # nobody was ever exposed
    host, _, port = str(deployed[-1].data["targets"][state.champion]).rpartition(":")
    champion = Target(state.champion, host, int(port))
    ports.router.apply(Route(state.model, champion, salt=state.rollout_id, token=last_token(state)))


def _candidate_requests(ports: Ports, route: Route) -> int | None:
    if route.candidate is None:
        return 0
    gateway = ports.meter.read(route, since=ports.clock.now()).gateway
    return None if gateway is None else gateway.candidate_requests
