"""Enter a stage: journal the intent with the counters of this instant, then shift the traffic under a lease."""

from dataclasses import replace

from sluicegate.actions.release.begin import target
from sluicegate.actions.release.capacity import prepare, provide
from sluicegate.actions.release.read import rollout
from sluicegate.domain.evidence import Reading
from sluicegate.domain.rollout import ENDS, Kind, Rollout
from sluicegate.domain.route import Route
from sluicegate.errors import PausedError, RefusedError
from sluicegate.ports import LabelWindow, Ports


def enter_stage(ports: Ports, model: str, rollout_id: str, index: int, *, author: str) -> Rollout:
    """Go to stage `index` of the plan. Entering the present stage again re-applies it; a stage is never repeated or jumped.

    Raises RefusedError when the rollout has ended, or the stage before has not passed; PausedError while a person holds it.
    """
    state = rollout(ports, model, rollout_id)
    _refuse(state, index)
    provide(ports, state, index)
    route = stage_route(ports, state, index)
    if index == state.next_stage:
        now = ports.clock.now()
        baseline = read_evidence(ports, state, route, since=now)
        data = {
            "index": index,
            "kind": state.stages[index].kind,
            "weight": route.weight,
            "mirror": route.mirror,
            "baseline": baseline.to_dict(),
        }
        ports.journal.append(model, rollout_id, Kind.STAGE_ENTERED, data, author=author, token=state.token, unless=ENDS)
        state = rollout(ports, model, rollout_id)
        _refuse(state, index)  # somebody was faster and is further: a decided stage gets no traffic again
    if state.withdrawn_at is None:
        until = _lease_end(ports, state, route.weight)  # its lease begins here, however long the evidence took
        ports.router.apply(replace(route, expires_at=until))
    prepare(ports, state, index + 1)
    return rollout(ports, model, rollout_id)


def read_evidence(ports: Ports, state: Rollout, route: Route, *, since: float) -> Reading:
    """All counters now, pairs from `since` on. Outcomes count from the first stage on: labels come long after their own stage."""
    gate = state.release.gates.labels
    begun = state.records[0].entered_at if state.records else since
    return ports.meter.read(route, since=since, labels=None if gate is None else LabelWindow(gate, begun))


def stage_route(ports: Ports, state: Rollout, index: int) -> Route:
    """The route of a stage. Mirroring goes on during the weights, so that pairs go on being compared; at 100 % it stops."""
    if state.champion is None:
        raise RefusedError(f"rollout '{state.rollout_id}' is the first version of model '{state.model}' and has no stages")
    stage = state.stages[index]
    weight = stage.weight or 0
    return Route(
        model=state.model,
        champion=target(ports, state.model, state.champion),
        candidate=target(ports, state.model, state.candidate),
        weight=weight,
        mirror=0 if weight == 100 else (state.stages[0].mirror or 0),
        salt=state.rollout_id,
        token=state.token,
        expires_at=_lease_end(ports, state, weight),
    )


def _lease_end(ports: Ports, state: Rollout, weight: int) -> float | None:
    """When a lease ends that begins now; a route without weight needs none."""
    return (ports.clock.now() + state.release.lease) if weight else None


def _refuse(state: Rollout, index: int) -> None:
    name = f"rollout '{state.rollout_id}' of model '{state.model}'"
    if not state.open or state.cut_at is not None:
        raise RefusedError(f"{name} {'was cut' if state.open else f'has ended {state.outcome}'}: no stage can be entered")
    if not 0 <= index < len(state.stages):
        raise RefusedError(f"{name} has no stage {index}: its plan has {len(state.stages)} stages, counted from 0")
    if index == state.next_stage - 1 and state.records[index].verdict is None:
        return
    if index != state.next_stage:
        raise RefusedError(f"{name} stands before stage {state.next_stage}, not {index}: stages are never jumped or repeated")
    if index > 0 and not state.records[-1].passed:
        raise RefusedError(f"{name} has not passed stage {index - 1}: nothing grows without a PASS")
    if state.paused_at is not None:
        raise PausedError(f"{name} is paused: it enters stage {index} after it is resumed")
