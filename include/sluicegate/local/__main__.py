"""`python -m sluicegate.local up|down|status`: what the Makefile calls."""

import sys

from sluicegate.errors import SluicegateError
from sluicegate.local.stack import down, status, up, where
from sluicegate.settings import Settings


def main(argv: list[str]) -> int:
    """Run one verb; an error is one sentence."""
    try:
        settings = Settings.from_environment()
        match argv:
            case ["up"]:
                up(settings)
            case ["down"]:
                down(settings)
            case ["status"]:
                for name, state, place in status(settings):
                    print(f"{name:20} {state:10} {place}")
                print(where(settings))
            case _:
                print("usage: python -m sluicegate.local up|down|status", file=sys.stderr)
                return 2
    except SluicegateError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
