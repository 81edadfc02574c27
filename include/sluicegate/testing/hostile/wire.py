"""Sends bytes to a port and says what came back."""

import contextlib
import re
import socket
from collections import Counter
from collections.abc import Iterable

from sluicegate.testing.hostile.requests import valid

_STATUS = re.compile(rb"(?:^|\r\n|\})HTTP/1\.[01] (\d{3}) ")
PATIENCE_S = 20.0
"""Nothing may keep a connection for longer after its client has said everything."""
VALID_EVERY = 50
WAIT_S = 0.05
"""Seconds for the first bytes of an answer to a request that may never get one."""


def exchange(port: int, sent: bytes, first: float = PATIENCE_S) -> bytes:
    """Everything that comes back until the other side closes; TimeoutError when it does not.

    Our half is closed after the first bytes of an answer, or when none came within `first` seconds: a request that is not
    complete is waited for.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=first) as wire:
        with contextlib.suppress(OSError):  # closed on us while we sent: the answer may be there all the same
            wire.sendall(sent)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            with contextlib.suppress(TimeoutError):
                got = wire.recv(65_536)
            wire.settimeout(PATIENCE_S)
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(65_536):
                got += part
        return got


def statuses(answer: bytes) -> list[int]:
    """Status codes of all answers in what came back."""
    return [int(found) for found in _STATUS.findall(answer)]


def besiege(port: int, inputs: Iterable[tuple[str, bytes]]) -> Counter[str]:
    """Send them all, and between them valid requests, which must be answered; counts of what happened, by "kind status"."""
    counted: Counter[str] = Counter()
    for number, (kind, sent) in enumerate(inputs):
        for status in statuses(exchange(port, sent, WAIT_S)) or [0]:
            counted[f"{kind} {status or 'closed'}"] += 1
            if status >= 500:
                raise AssertionError(f"{kind} number {number} was answered {status}: {sent[:300]!r}")
        if number % VALID_EVERY == 0 and statuses(exchange(port, valid())) != [200]:
            raise AssertionError(f"a valid request was not answered after {kind} number {number}: {sent[:300]!r}")
    return counted
