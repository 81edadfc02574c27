"""Servers before traffic: a stage begins when its servers are ready, and those of the next one are started while it bakes."""

import contextlib

from sluicegate.actions.release.read import refuse_ended, rollout
from sluicegate.domain.rollout import Rollout
from sluicegate.domain.servers import servers_wanted
from sluicegate.domain.spec import StageSpec
from sluicegate.errors import PackageError, SluicegateError, UnavailableError
from sluicegate.ports import Ports, ServerStatus

LOOK_EVERY_S = 0.25


def server(ports: Ports, model: str, version: str) -> ServerStatus | None:
    """The servers of a version that should be running, or None."""
    return next((s for s in ports.runtime.status(model) if s.target.version == version), None)


def provide(ports: Ports, state: Rollout, index: int) -> None:
    """Have the candidate's servers that stage `index` needs; UnavailableError when they are not ready in time: nothing is shifted then."""
    stage = state.stages[index]
    wait_ready(ports, state, state.candidate, ports.runtime.scale(state.model, state.candidate, _wanted(ports, state, stage)))


def prepare(ports: Ports, state: Rollout, index: int) -> None:
    """Start what stage `index` will need, if there is one. What fails here is asked for again, and waited for, when it is entered."""
    if index < len(state.stages):
        with contextlib.suppress(SluicegateError):
            ports.runtime.scale(state.model, state.candidate, _wanted(ports, state, state.stages[index]))


def provide_all_traffic(ports: Ports, state: Rollout, version: str) -> int:
    """Have enough servers of this version for all traffic, and keep them: also while a rollout takes its traffic away, so that it can
    have it back at once. Returns how many there will be; does not wait."""
    found = server(ports, state.model, version)
    present = 0 if found is None else found.wanted
    return ports.runtime.scale(state.model, version, max(present, state.serving.servers))


def let_shrink(ports: Ports, model: str, version: str, servers: int) -> None:
    """From now on the load alone says how many servers beyond the least there are."""
    if server(ports, model, version) is not None:
        ports.runtime.scale(model, version, servers)


def wait_ready(ports: Ports, state: Rollout, version: str, servers: int) -> ServerStatus:
    """The version's servers once so many have passed deep health.

    Raises PackageError when not even one has in time: a broken artefact; UnavailableError when there are too few; RefusedError when the
    rollout has ended meanwhile, and its server with it.
    """
    patience = state.serving.patience(ports.settings.profile)
    until = ports.clock.now() + patience
    while True:
        found = server(ports, state.model, version)
        if found is not None and found.ready and found.servers >= servers:
            return found
        if found is None:
            refuse_ended(rollout(ports, state.model, state.rollout_id))
        if ports.clock.now() >= until:
            raise _too_late(state, version, servers, found, patience)
        ports.clock.sleep(LOOK_EVERY_S)


def _wanted(ports: Ports, state: Rollout, stage: StageSpec) -> int:
    champion = server(ports, state.model, state.champion or "")
    present = 1 if champion is None else champion.wanted
    mirror = 0 if stage.weight == 100 else (state.stages[0].mirror or 0)
    return servers_wanted(state.serving, weight=stage.weight or 0, mirror=mirror, champion=present)


def _too_late(state: Rollout, version: str, servers: int, found: ServerStatus | None, patience: float) -> SluicegateError:
    name = f"version {version} of model '{state.model}'"
    detail = "no server was started" if found is None else found.detail
    if found is None or not found.ready:
        return PackageError(f"{name} was not healthy within {patience:.0f} s: {detail}")
    return UnavailableError(
        f"{name} has {found.servers} of {servers} servers after {patience:.0f} s, so no traffic is shifted to it ({detail}): "
        "make room in the cluster, or lower serving.cpu, serving.memory or serving.servers"
    )
