"""What a person reads: status, history, explain."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluicegate.commands import Verbs


def add_commands(verbs: "Verbs") -> None:
    """Add status and history."""
    for verb, run, text in (
        ("status", _status, "where the newest rollout stands"),
        ("history", _history, "all events of a model"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("model")
        one.add_argument("--json", action="store_true")
        one.set_defaults(run=run)


def _status(args: argparse.Namespace) -> None:
    from sluicegate.actions.release import champion_version, status
    from sluicegate.wiring import wire

    ports = wire()
    state, route = status(ports, args.model), ports.router.read(args.model)
    facts = {
        "model": args.model,
        "champion": champion_version(ports, args.model),
        "rollout": state.rollout_id if state else None,
        "candidate": state.candidate if state else None,
        "phase": state.phase if state else None,
        "outcome": state.outcome if state else None,
        "weight": route.weight if route else None,
        "reason": state.reason if state else "",
        "message": state.message if state else "",
    }
    print(json.dumps(facts) if args.json else "\n".join(f"{key:10} {value}" for key, value in facts.items()))


def _history(args: argparse.Namespace) -> None:
    from datetime import UTC, datetime

    from sluicegate.domain.rollout import Kind
    from sluicegate.wiring import wire

    for e in wire().journal.events(args.model, kinds=[k for k in Kind if k is not Kind.EVIDENCE]):
        if args.json:
            print(
                json.dumps(
                    {"number": e.number, "at": e.at, "rollout": e.rollout, "kind": e.kind, "author": e.author, "data": e.data}
                )
            )
        else:
            reason = e.reason or e.data.get("reason", "")
            print(f"{datetime.fromtimestamp(e.at, UTC):%F %T} {e.kind:14} {e.rollout:12} {e.author}  {reason}")
