"""Check the journal: that nothing in it was altered or lost (verify), and that every verdict follows from it (replay)."""

from sluicegate.actions.journal.code import judge_code
from sluicegate.actions.journal.replay import Difference, Replayed, replay
from sluicegate.actions.journal.verify import Verified, verify

__all__ = ["Difference", "Replayed", "Verified", "judge_code", "replay", "verify"]
