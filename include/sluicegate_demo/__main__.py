"""`python -m sluicegate_demo`: what `make demo` runs."""

import sys

from sluicegate.errors import SluicegateError
from sluicegate_demo.story import tell


def main() -> int:
    """Tell the whole story; an error is one sentence and exit status 1."""
    try:
        return tell()
    except SluicegateError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
