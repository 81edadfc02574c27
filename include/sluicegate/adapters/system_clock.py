"""The machine's clock."""

import time


class SystemClock:
    """Implements the Clock port."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
