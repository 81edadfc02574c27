"""What a person does to a rollout. Every verb says who and why, works without Airflow, and is refused with one sentence."""

import argparse
import getpass
import sys
import time
from typing import TYPE_CHECKING

from sluicegate.commands import DONE, UNFINISHED
from sluicegate.errors import RefusedError, SluicegateError, UnavailableError, UnfinishedError

if TYPE_CHECKING:
    from sluicegate.commands import Verbs
    from sluicegate.domain.rollout import Rollout
    from sluicegate.domain.route import Route
    from sluicegate.ports import Ports

VERBS = {
    "pause": ("pause", "hold the weight; harm is cut as ever, no stage is left or entered"),
    "resume": ("resume", "end a pause"),
    "approve": ("approve", "say yes to the present stage, where the plan asks for it or holds for a person"),
    "abort": ("abort", "stop the rollout: all traffic to the champion"),
    "revert": ("take_back", "take the candidate back now; after a promotion, the old champion serves again"),
    "reinstate": ("reinstate", "after a promotion: the old champion serves again"),
    "retire": ("retire", "stop the old champion before its retention is over"),
}
"""Command → verb of the release actions, and what it does."""


def add_commands(verbs: "Verbs") -> None:
    """Add a command a verb."""
    for name, (verb, text) in VERBS.items():
        one = verbs.add_parser(name, help=text)
        one.add_argument("model")
        one.add_argument("--reason", required=True, help="why: goes into the journal")
        one.add_argument("--author", default=f"cli:{getpass.getuser()}", help="who (default: %(default)s)")
        one.add_argument("--rollout", help="this one instead of the newest")
        one.set_defaults(run=_end if name in ("abort", "revert") else _act, verb=verb)


def _act(args: argparse.Namespace) -> int:
    """Call the verb on the rollout and say where it stands then."""
    from sluicegate.wiring import wire

    ports = wire()
    try:
        _carry_out(ports, args)
    except UnfinishedError as e:
        print(e, file=sys.stderr)
        return UNFINISHED
    return DONE


def _end(args: argparse.Namespace) -> int:
    """Cut first, by the gateway alone; then the verb. Without a journal the cut stands, and the rest is asked for again later."""
    from sluicegate.wiring import wire

    ports = wire()
    was = _cut(ports, args)
    try:
        _carry_out(ports, args)
    except (UnavailableError, RefusedError) as e:
        if was is None and not isinstance(e, UnfinishedError):
            raise
        print(e, file=sys.stderr)
        return UNFINISHED
    return DONE


def _cut(ports: "Ports", args: argparse.Namespace) -> "Route | None":
    """The route as it was, when there was something to cut; a gateway that does not answer is told about, and the verb goes on."""
    from sluicegate.actions.release import cut_now

    try:
        was = cut_now(ports, args.model, args.rollout)
    except SluicegateError as e:
        print(f"the gateway could not be asked for the cut ({e}); trying by way of the journal", file=sys.stderr)
        return None
    if was is not None:
        print(
            f"cut: version {was.champion.version} of {args.model} has all traffic (weight was {was.weight} %, mirror {was.mirror} %)"
        )
        _record_cut(ports, args, was)
    return was


def _record_cut(ports: "Ports", args: argparse.Namespace, was: "Route") -> None:
    """A file about the cut, should the journal not take it."""
    from sluicegate.domain.notice import Notice

    numbers = {"weight": was.weight, "mirror": was.mirror, "candidate": was.candidate and was.candidate.version}
    notice = Notice(args.model, was.salt, "cut", time.time(), args.author, args.reason, "cut by hand", numbers)
    try:
        ports.incidents.record(notice)
    except SluicegateError as e:
        print(e, file=sys.stderr)


def _carry_out(ports: "Ports", args: argparse.Namespace) -> None:
    from sluicegate.actions import release

    rollout_id = args.rollout
    if rollout_id is None:
        newest = release.status(ports, args.model)
        if newest is None:
            raise RefusedError(f"model '{args.model}' has no rollout in the journal: there is nothing to {args.verb}")
        rollout_id = newest.rollout_id
    state = getattr(release, args.verb)(ports, args.model, rollout_id, author=args.author, reason=args.reason)
    print(_said(ports, state))


def _said(ports: "Ports", state: "Rollout") -> str:
    from sluicegate.actions.release import champion_version

    held = ", paused" if state.open and state.paused_at is not None else ""
    how = f"{state.outcome}" if state.outcome else f"{state.phase}{held}"
    taken = ", taken back" if state.reinstated else ""
    serves = champion_version(ports, state.model)
    return f"{how}{taken}: rollout {state.rollout_id} of {state.model}, candidate {state.candidate}, version {serves} is champion"
