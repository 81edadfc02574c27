"""What a person does to a rollout. Every verb says who and why."""

import argparse
import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluicegate.commands import Verbs


def add_commands(verbs: "Verbs") -> None:
    """Add revert."""
    revert = verbs.add_parser("revert", help="take the candidate back now")
    revert.add_argument("model")
    revert.add_argument("--reason", default="manual")
    revert.add_argument("--author", default=getpass.getuser())
    revert.set_defaults(run=_revert)


def _revert(args: argparse.Namespace) -> None:
    from sluicegate.actions.release import revert, status
    from sluicegate.errors import RefusedError
    from sluicegate.wiring import wire

    ports = wire()
    state = status(ports, args.model)
    if state is None:
        raise RefusedError(f"model '{args.model}' has no rollout: nothing to revert")
    ended = revert(ports, args.model, state.rollout_id, author=args.author, reason=args.reason)
    print(f"{ended.outcome}: version {ended.candidate} of {args.model} has 0 %, champion {ended.champion} has 100 %")
