"""`python -m sluicegate …`: what a worker process runs, and what a person runs when Airflow is down."""

import argparse
import sys

from sluicegate.commands import REFUSED, UNAVAILABLE, join, journal, look, people, pod, work
from sluicegate.errors import SluicegateError, UnavailableError

FAMILIES = (work, pod, join, look, people, journal)


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
        return UNAVAILABLE if isinstance(e, UnavailableError) else REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluicegate", description="Keeps a production model fresh.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for family in FAMILIES:
        family.add_commands(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
