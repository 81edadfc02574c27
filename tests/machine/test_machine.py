"""Any order of runs, people, crashes, outages and clock jumps keeps the invariants. 10 000 sequences: `make machine`."""

from collections import Counter

import pytest

from sluicegate.testing.machine.__main__ import run
from sluicegate.testing.machine.reached import SITUATIONS

SEQUENCES = 150
SELDOM = 14
"""Situations that so few sequences may miss; `make machine` must reach them all."""


@pytest.mark.slow
def test_no_order_of_accidents_breaks_an_invariant_and_most_situations_were_reached() -> None:
    reached: Counter[str] = run(SEQUENCES, 20261121)
    assert reached["sequences"] >= SEQUENCES
    assert min(reached[name] for name in ("PROMOTED", "REVERTED", "ABORTED", "guard cut", "killed")) > 0
    assert len([name for name in SITUATIONS if not reached[name]]) <= SELDOM
