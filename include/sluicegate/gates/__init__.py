"""Evidence in, verdict out: the online judge. Pure: no clock, no random, no I/O. Rules and limits: docs/judge.md."""

from sluicegate.gates.case import Case, add, open_case
from sluicegate.gates.judge import judge

__all__ = ["Case", "add", "judge", "open_case"]
