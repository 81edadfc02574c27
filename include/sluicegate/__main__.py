"""`python -m sluicegate …`: what a worker process runs, and what a person runs when Airflow is down."""

import argparse
import getpass
import json
import logging
import sys
import traceback
from pathlib import Path

from sluicegate.errors import SluicegateError


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["serve"]:
        from sluicegate.serving.main import main as serve

        return int(serve(arguments[1:]) or 0)
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args) or 0)
    except SluicegateError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluicegate", description="Keeps a production model fresh.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verbs.add_parser("serve", help="a model server (see: serve --help)")
    order = verbs.add_parser("order", help="carry out the order in FILE and commit its result")
    order.add_argument("file", type=Path)
    order.set_defaults(run=_order)
    guard = verbs.add_parser("guard", help="give expired leases back to the champion; runs until stopped")
    guard.set_defaults(run=_guard)
    for verb, run, text in (
        ("status", _status, "where the newest rollout stands"),
        ("history", _history, "all events of a model"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("model")
        one.add_argument("--json", action="store_true")
        one.set_defaults(run=run)
    revert = verbs.add_parser("revert", help="take the candidate back now")
    revert.add_argument("model")
    revert.add_argument("--reason", default="manual")
    revert.add_argument("--author", default=getpass.getuser())
    revert.set_defaults(run=_revert)
    return parser


def _order(args: argparse.Namespace) -> int:
    from sluicegate.actions import carry_out
    from sluicegate.domain.order import Order
    from sluicegate.wiring import wire

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        result = carry_out(Order.from_json(args.file.read_text()), wire())
    except Exception as e:
        traceback.print_exc()
        message = str(e) if isinstance(e, SluicegateError) else f"{type(e).__name__}: {e}"
        (args.file.parent / "error.json").write_text(json.dumps({"message": message, "kind": type(e).__name__}))
        return 1
    print(json.dumps(result)[:2000], flush=True)
    return 0


def _guard(_: argparse.Namespace) -> None:
    from sluicegate.actions.guard import run_guard
    from sluicegate.wiring import wire

    run_guard(wire())


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


if __name__ == "__main__":
    sys.exit(main())
