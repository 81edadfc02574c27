"""How what runs until it is stopped learns that it is: SIGTERM from a supervisor, SIGINT from a person."""

import os
import select
import signal
from collections.abc import Callable


def stopped() -> Callable[[float], bool]:
    """Waits so many seconds; true once somebody has asked to stop. (An Event set by a signal's handler may wait for itself.)"""
    asked, ask = os.pipe()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: os.write(ask, b"."))
    return lambda seconds: bool(select.select([asked], [], [], seconds)[0])
