"""The fake clock: time moves only when a test says so, or when somebody sleeps."""


class VirtualClock:
    """Implements the Clock port."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
