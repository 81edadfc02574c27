"""The ends of a rollout: promote, revert, retire. The cut comes first; what follows may fail and be asked for again."""

from dataclasses import replace

from sluicegate.actions.release.begin import server, target
from sluicegate.actions.release.read import champion_version, rollout
from sluicegate.domain.rollout import ENDS, Kind, Outcome, Phase, Rollout
from sluicegate.domain.route import Route
from sluicegate.errors import RefusedError, SluicegateError
from sluicegate.ports import Ports

QUIET_FOR = 0.3
"""Seconds during which the gateway must count no new candidate request before a revert is called verified."""


def promote(ports: Ports, model: str, rollout_id: str, *, author: str) -> Rollout:
    """Make the candidate champion: journal, route, alias, lock. The old champion stays warm until it is retired.

    Raises RefusedError unless every stage of the plan has passed (a first version has no stages).
    """
    state = rollout(ports, model, rollout_id)
    if state.outcome is not Outcome.PROMOTED:
        _refuse_promotion(state)
        data = {"candidate": state.candidate, "champion": state.champion, "reason": _why_promoted(state)}
        ports.journal.append(model, rollout_id, Kind.PROMOTED, data, author=author, token=state.token, unless=ENDS)
    if champion_version(ports, model) == state.candidate:
        ports.router.apply(Route(model, target(ports, model, state.candidate), token=last_token(state)))
        ports.registry.alias(model, "champion", state.candidate)
        ports.registry.alias(model, "candidate", None)
    ports.journal.release(model, state.token)
    return rollout(ports, model, rollout_id)


def revert(
    ports: Ports, model: str, rollout_id: str, *, author: str, reason: str, outcome: Outcome = Outcome.REVERTED
) -> Rollout:
    """Take the candidate back: cut, verify, journal, stop its server, give the lock back. Asking again changes nothing."""
    state = rollout(ports, model, rollout_id)
    if state.outcome is Outcome.PROMOTED:
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' was promoted: re-instate the old champion instead")
    if state.open:
        cut = _cut(ports, state)
        judged = state.phase is Phase.FAILED  # a stage that passed has a reason and a message too: those of its PASS
        why = {"reason": state.reason or reason, "message": state.message} if judged else {"reason": reason, "message": ""}
        data = {"outcome": outcome, **why, **cut}
        if state.cut_at is None:
            ports.journal.append(
                model, rollout_id, Kind.CUT, {"reason": reason}, author=author, token=state.token, unless=(Kind.PROMOTED,)
            )
        ports.journal.append(
            model,
            rollout_id,
            Kind.REVERTED,
            data,
            author=author,
            reason=reason,
            token=state.token,
            unless=(Kind.PROMOTED, Kind.REVERTED),
        )
    _fence_off(ports, state)
    ports.runtime.stop(model, state.candidate)
    ports.registry.alias(model, "candidate", None)
    ports.journal.release(model, state.token)
    return rollout(ports, model, rollout_id)


def retire(ports: Ports, model: str, rollout_id: str, *, author: str) -> Rollout:
    """Stop the old champion's server after its retention; refuses while anything still routes to it."""
    state = rollout(ports, model, rollout_id)
    if state.outcome is not Outcome.PROMOTED:
        raise RefusedError(f"rollout '{rollout_id}' of model '{model}' was not promoted: its champion is still in service")
    if state.retired or state.champion is None:
        return state
    route = ports.router.read(model)
    routed = [t.version for t in (route.champion, route.candidate) if t is not None] if route is not None else []
    if state.champion in routed:
        raise RefusedError(f"version {state.champion} of model '{model}' still has a route: it cannot be retired")
    ports.runtime.stop(model, state.champion)
    ports.journal.append(model, rollout_id, Kind.RETIRED, {"version": state.champion}, author=author)
    return rollout(ports, model, rollout_id)


def last_token(state: Rollout) -> int:
    """Token of a rollout's last write to the router: one above its own, which no rollout ever holds, so that late writes are stale."""
    return state.token + 1


def _fence_off(ports: Ports, state: Rollout) -> None:
    """Cut once more under the last token: a stage that is being entered at this very moment cannot give weight any more."""
    route = ports.router.read(state.model)
    if route is not None and route.token <= last_token(state):
        ports.router.apply(replace(route.cut(), token=last_token(state)))


def _refuse_promotion(state: Rollout) -> None:
    name = f"rollout '{state.rollout_id}' of model '{state.model}'"
    if not state.open or state.cut_at is not None:
        raise RefusedError(f"{name} was cut or has ended: it cannot be promoted")
    if state.phase is Phase.OPENED:
        raise RefusedError(f"{name} is not deployed: it cannot be promoted")
    if len(state.records) != len(state.stages) or any(r.verdict != "PASS" for r in state.records):
        raise RefusedError(f"{name} has passed {sum(r.verdict == 'PASS' for r in state.records)} of {len(state.stages)} stages")


def _why_promoted(state: Rollout) -> str:
    return "first_version" if state.champion is None else "all_stages_passed"


def _cut(ports: Ports, state: Rollout) -> dict[str, object]:
    """Traffic to the champion alone, then look at the gateway's own counters until they stand still."""
    route = ports.router.read(state.model)
    if state.champion is None or route is None:
        return {"verified": True, "candidate_requests_after_cut": 0}
    if server(ports, state.model, state.champion) is not None and route.candidate is not None:
        ports.router.apply(Route(state.model, route.champion, candidate=route.candidate, salt=route.salt, token=state.token))
    return _verify(ports, state, route)


def _verify(ports: Ports, state: Rollout, route: Route) -> dict[str, object]:
    before = _candidate_requests(ports, route)
    ports.clock.sleep(QUIET_FOR)
    after = _candidate_requests(ports, route)
    now = ports.router.read(state.model)
    if now is not None and now.weight:
        raise SluicegateError(f"the gateway still gives version {state.candidate} of model '{state.model}' {now.weight} %")
    quiet = before is not None and before == after
    return {"verified": quiet, "candidate_requests_after_cut": -1 if before is None or after is None else after - before}


def _candidate_requests(ports: Ports, route: Route) -> int | None:
    if route.candidate is None:
        return 0
    gateway = ports.meter.read(route, since=ports.clock.now()).gateway
    return None if gateway is None else gateway.candidate_requests
