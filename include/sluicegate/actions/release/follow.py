"""What follows the end of a rollout: servers, aliases, the incident, the people. Each may fail, is journaled when it is done,
and is tried again by whoever asks for the same end again; the traffic is not touched any more.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

from sluicegate.actions.release.read import champion_since, champion_version, status
from sluicegate.domain.notice import Notice
from sluicegate.domain.rollout import Kind, Outcome, Rollout
from sluicegate.errors import SluicegateError, StaleTokenError, UnfinishedError
from sluicegate.ports import Event, Ports

Step = Callable[[Ports, Rollout], str | None]
"""Does one thing; returns where, when it has left something to look at."""


def follow_up(ports: Ports, state: Rollout, *, author: str) -> None:
    """Do what is not yet done after this rollout's end; UnfinishedError names what could not be done."""
    left = []
    for name, step in steps(state).items():
        if name in state.followed_up:
            continue
        try:
            where = step(ports, state)
            done = {"what": name} if where is None else {"what": name, "where": where}
            ports.journal.append(state.model, state.rollout_id, Kind.FOLLOWED_UP, done, author=author)
        except SluicegateError as e:
            left.append(f"{name} ({e})")
    if left:
        raise UnfinishedError(
            f"rollout '{state.rollout_id}' of model '{state.model}' has ended {state.outcome} and its traffic is where it belongs, "
            f"but this remains to be done, ask for the same again: {'; '.join(left)}"
        )


def steps(state: Rollout) -> Mapping[str, Step]:
    """What follows this rollout's end, in order, by the names under which the journal keeps it."""
    if state.reinstated:
        return {
            "reinstated:server": _stop_candidate,
            "reinstated:alias": _point_champion,
            "reinstated:incident": _record,
            "reinstated:notice": _tell,
        }
    if state.outcome is Outcome.PROMOTED:
        return {"promoted:alias": _point_champion, "promoted:candidate_alias": _drop_candidate, "promoted:notice": _tell}
    return {
        "reverted:server": _stop_candidate,
        "reverted:candidate_alias": _drop_candidate,
        "reverted:incident": _record,
        "reverted:notice": _tell,
    }


def announce(ports: Ports, notice: Notice) -> None:
    """Tell people of what happened in the middle of a rollout, and record what they may have to explain later."""
    if notice.what in ("withdrawn", "cut"):
        ports.incidents.record(notice)
    ports.incidents.tell(notice)


def notice_of(ports: Ports, state: Rollout) -> Notice:
    """The end of a rollout as people hear of it, made from the journal alone: told again it is the same."""
    kind = Kind.REINSTATED if state.reinstated else Kind.PROMOTED if state.outcome is Outcome.PROMOTED else Kind.REVERTED
    end = ports.journal.events(state.model, state.rollout_id, kinds=(kind,))[-1]
    what = "reinstated" if state.reinstated else str(state.outcome).lower()
    numbers: dict[str, object] = {"candidate": state.candidate, "champion": state.champion}
    numbers |= {**_stage_numbers(state), **_cut_numbers(end), **_gate_numbers(ports, state)}
    reason = str(end.data.get("reason", end.reason))
    return Notice(state.model, state.rollout_id, what, end.at, end.author, reason, str(end.data.get("message", "")), numbers)


def _stage_numbers(state: Rollout) -> dict[str, object]:
    """The newest stage and the weight that it gave, when one was entered."""
    return {"stage": state.records[-1].index, "weight": state.records[-1].weight} if state.records else {}


def _cut_numbers(end: Event) -> dict[str, object]:
    names = ("verified", "candidate_requests_after_cut")
    return {name: end.data[name] for name in names if name in end.data}


def _gate_numbers(ports: Ports, state: Rollout) -> dict[str, object]:
    """The gate that failed with its numbers, when one did."""
    decided = ports.journal.events(state.model, state.rollout_id, kinds=(Kind.STAGE_DECIDED,))
    gate = decided[-1].data.get("gate") if decided else None
    said = next((g for g in decided[-1].data.get("gates", ()) if g["gate"] == gate), None) if gate else None
    return {} if said is None else {"gate": gate, "gate_numbers": said["numbers"]}


def _stop_candidate(ports: Ports, state: Rollout) -> None:
    if not _needed(ports, state, state.candidate):
        ports.runtime.stop(state.model, state.candidate)


def _needed(ports: Ports, state: Rollout, version: str) -> bool:
    """Whether a newer rollout, or the service itself, uses this version's server: by the journal, and by what the gateway does."""
    newest = status(ports, state.model)
    route = ports.router.read(state.model)
    if version in (champion_version(ports, state.model), None if route is None else route.champion.version):
        return True
    if newest is None or newest.rollout_id == state.rollout_id:
        return False
    warm = newest.open or (newest.outcome is Outcome.PROMOTED and not newest.retired)
    return warm and version in (newest.candidate, newest.champion)


def _point_champion(ports: Ports, state: Rollout) -> None:
    version, since = champion_since(ports, state.model)
    if version is not None:
        with suppress(StaleTokenError):  # somebody has pointed it at a later champion meanwhile
            ports.registry.alias(state.model, "champion", version, fence=since)


def _drop_candidate(ports: Ports, state: Rollout) -> None:
    """Only while the alias still means this rollout's version: a newer candidate may have it by now."""
    named = ports.registry.resolve(state.model, "candidate")
    if named is not None and named.version == state.candidate:
        ports.registry.alias(state.model, "candidate", None)


def _record(ports: Ports, state: Rollout) -> str:
    return ports.incidents.record(notice_of(ports, state))


def _tell(ports: Ports, state: Rollout) -> None:
    ports.incidents.tell(notice_of(ports, state))
