"""`python -m tests.hostile --count 10000 [--seed 1] [--only server]`: a table of what came of every kind of input."""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.hostile import siege

Siege = Callable[[int, int, Path], Counter[str]]
SIEGES: dict[str, Siege] = {
    "server": siege.server,
    "gateway": siege.gateway,
    "files": siege.files,
    "specs": lambda seed, count, _: siege.models(seed, count),
}


def main() -> None:
    """Send them all; AssertionError, or whatever was raised, when something gave way."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=SIEGES, help="one target")
    args = parser.parse_args()
    for name in [args.only] if args.only else SIEGES:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            counted = SIEGES[name](args.seed, args.count, Path(folder))
        print(f"{name}: {args.count} inputs in {time.monotonic() - begun:.0f} s, nothing gave way")
        for what, times in sorted(counted.items()):
            print(f"{times:8}  {what}")


if __name__ == "__main__":
    main()
