"""Waiting in tests and benchmarks for what happens in other processes and threads."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(ask: Callable[[], T | None], within: float = 10.0, what: str | Callable[[], str] = "", pause: float = 0.01) -> T:
    """Ask until the answer is true, and return it; an OSError is a no, and so is the TimeoutError of a wait within the question.

    TimeoutError after `within` seconds; it says `what` was missing, else the question's name. A `what` that looks up the present
    state is called only then.
    """
    end = time.monotonic() + within
    while True:
        problem: OSError | None = None
        try:
            if answer := ask():
                return answer
        except OSError as e:
            problem = e
        if time.monotonic() >= end:
            missing = what() if callable(what) else what or getattr(ask, "__qualname__", "a yes")
            raise TimeoutError(f"not within {within:g} s: {missing}") from problem
        time.sleep(pause)
