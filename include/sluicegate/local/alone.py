"""`python -m sluicegate.local.alone NAME COMMAND …`: become the command, after what a killed predecessor left behind has ended.

kill -9 of a program's first process leaves its children, which hold its port: its successor would start and end for ever.
"""

import os
import sys

from sluicegate.local.survivors import end_predecessors

MARK = "SLUICEGATE_PROGRAM"
"""Environment variable by which the children of a program are known."""


def main(argv: list[str]) -> None:
    """Never returns."""
    name, *command = argv
    end_predecessors(f"{MARK}={name}", f"SLUICEGATE_HOME={os.environ['SLUICEGATE_HOME']}")
    os.execve(command[0], command, {**os.environ, MARK: name})  # noqa: S606 - the stack's own command line, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
