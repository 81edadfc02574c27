"""The machine notices when a guard is taken away; `python tests/machine/mutations.py` tries all of them."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("mutations", Path(__file__).with_name("mutations.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
mutations = importlib.util.module_from_spec(_SPEC)
sys.modules["mutations"] = mutations
_SPEC.loader.exec_module(mutations)

QUICKLY = (
    "a rollout is opened twice",
    "the lock is given to everybody",
    "no FAIL is a PASS",
    "a cut leaves the weight",
    "a revert keeps the lock",
)
"""Those that a few dozen sequences suffice for, in five files."""


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICKLY)
def test_a_guard_that_is_taken_away_is_noticed(name: str) -> None:
    (mutation,) = [m for m in mutations.MUTATIONS if m.name == name]
    assert mutations.caught(mutation, sequences=300)


def test_every_mutation_still_finds_the_guard_that_it_takes_away() -> None:
    for mutation in mutations.MUTATIONS:
        source = (mutations.PACKAGE / mutation.file).read_text()
        assert source.count(mutation.old) == 1, mutation.name
