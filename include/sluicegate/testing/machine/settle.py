"""The end of every sequence: after the repair new runs must be able to end whatever is open, and nothing may be left behind."""

from sluicegate.testing.machine.witness import Plan
from sluicegate.testing.machine.work import MODEL, Work, go_on, one, sweep
from sluicegate.testing.machine.world import RATE, World

ENOUGH = 4000
"""Calls of ports within which a run ends, looks included."""


def settle(world: World, *, aborted: bool) -> None:
    """Repair, let one run go on where the last one stopped, or one person abort it, and look at what remains."""
    world.repair()
    world.traffic(RATE)
    holder = world.witness.holder
    if holder is not None and holder not in world.witness.plans:  # killed before its plan was written, or while it retired
        _to_the_end(world, sweep)
    for name, plan in list(world.witness.plans.items()):  # also what a run that was killed after its rollout's end left undone
        _to_the_end(world, _last(name, plan, aborted=aborted))
    _nothing_is_left(world)


def _last(rollout_id: str, plan: Plan, *, aborted: bool) -> Work:
    if plan.reinstated:
        return one("reinstate", rollout_id, 0)
    return one("abort", rollout_id, 0) if aborted and not plan.over else go_on(rollout_id)


def _to_the_end(world: World, work: Work) -> None:
    actor = world.actor("the last one", work)
    actor.step(ENOUGH)
    assert not actor.alive, f"8: not at an end after {ENOUGH} calls"
    assert actor.error is None, f"8: {actor.error}"


def _nothing_is_left(world: World) -> None:
    champion = world.witness.champion
    left = [name for name, plan in world.witness.plans.items() if not set(plan.over) & {"PROMOTED", "REVERTED"}]
    assert not left, f"8: {left} neither promoted nor reverted"
    assert world.fakes.journal.locks().get(MODEL) is None, f"8: the lock is still with {world.fakes.journal.locks().get(MODEL)}"
    route = world.fakes.router.read(MODEL)
    assert route is not None
    assert (route.champion.version, route.weight, route.mirror) == (champion, 0, 0), f"7: {route} at the end, champion {champion}"
    assert world.fakes.registry.aliases == {"champion": champion}, (
        f"3: aliases {world.fakes.registry.aliases}, champion {champion}"
    )
