"""Where a lane stands, as its journal tells."""

import pytest
from tests.faults.tape import Tape

from sluicegate.domain.rollout import Kind
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal

STORY: tuple[tuple[Kind, dict[str, str | int], str], ...] = (
    (Kind.OPENED, {"champion": "1", "candidate": "2"}, "opened"),
    (Kind.DEPLOYED, {}, "deployed"),
    (Kind.STAGE_ENTERED, {"weight": 0}, "mirror"),
    (Kind.STAGE_DECIDED, {"verdict": "PASS"}, "mirror"),
    (Kind.STAGE_ENTERED, {"weight": 25}, "25 %"),
    (Kind.TROUBLE, {}, "25 %"),
    (Kind.PROMOTED, {"candidate": "2"}, "promoted"),
    (Kind.FOLLOWED_UP, {}, "promoted"),
    (Kind.RETIRED, {}, ""),
)


@pytest.fixture
def journal() -> MemoryJournal:
    journal = MemoryJournal(VirtualClock())
    journal.append("lane0", "first", Kind.PROMOTED, {"candidate": "1"}, author="test")
    journal.append("lane0", "first", Kind.RETIRED, {}, author="test")
    return journal


def test_step_follows_the_story(journal: MemoryJournal) -> None:
    tape = Tape(journal, ["lane0"])
    for kind, data, step in STORY:
        journal.append("lane0", "second", kind, data, author="test")
        assert len(tape.wind()) >= 1
        assert tape.step("lane0") == step


def test_rollout_is_open_until_it_is_promoted(journal: MemoryJournal) -> None:
    tape, was_open = Tape(journal, ["lane0"]), []
    for kind, data, _ in STORY:
        journal.append("lane0", "second", kind, data, author="test")
        tape.wind()
        was_open.append(tape.open() == ("lane0/second",))
    assert was_open == [True] * 6 + [False] * 3


def test_candidate_is_one_while_its_rollout_is_open_and_then_the_champion(journal: MemoryJournal) -> None:
    tape, found = Tape(journal, ["lane0"]), []
    for kind, data, _ in STORY:
        journal.append("lane0", "second", kind, data, author="test")
        tape.wind()
        found.append(tape.versions("lane0"))
    assert found == [("1", "2")] * 6 + [("2", "")] * 3
