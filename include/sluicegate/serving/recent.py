"""The newest answers of this process, in memory, for whoever pairs the answers of two versions and cannot read this machine's disk.

They hold what a pair needs and nothing of the request. What is older than the newest MOST_KEPT is forgotten: whoever reads too late
sees a gap in the numbers.
"""

from collections import deque

MOST_KEPT = 32_768
"""Answers: about 12 MB, and 30 s at a thousand a second."""
MOST_TOLD = 8_192
"""Answers told at once."""
Answer = tuple[int, str, float, str, str, float, bool]
"""Number of the answer in this process, request id, received at (seconds since the epoch), role, user, score, decision."""


class Recent:
    """Written by the thread that answers, read by others."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._answers: deque[Answer] = deque(maxlen=most)
        self._next = 0

    def add(self, request_id: str, received_at: float, role: str, user: str, score: float, decision: bool) -> None:
        self._answers.append((self._next, request_id, received_at, role, user, score, decision))
        self._next += 1

    def since(self, number: int, most: int = MOST_TOLD) -> list[Answer]:
        """Answers from this number on, or from the oldest one that is kept; none when there is no newer one."""
        kept = list(self._answers)  # one step of the interpreter: the writer cannot come between
        begin = max(0, number - kept[0][0]) if kept else 0
        return kept[begin : begin + most]
