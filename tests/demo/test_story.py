"""The story goes on when a rollout has ended, and no sooner."""

from typing import Any

import pytest

from sluicegate.ports import Event
from sluicegate.testing.rollouts import MODEL, begin, world
from sluicegate_demo import story


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "MODEL", MODEL)


def test_rollout_that_goes_on_is_not_counted() -> None:
    ports = world()
    assert story._ended(ports) == 1
    begin(ports)
    assert story._ended(ports) == -1


@pytest.mark.parametrize("question", range(4))
def test_rollout_that_is_opened_between_two_questions_is_not_counted_as_ended(
    question: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports, asked = world(), 0
    events, locks = ports.journal.events, ports.journal.locks

    def first_the_other() -> None:
        nonlocal asked
        asked += 1
        if asked == question + 1:
            monkeypatch.undo()
            monkeypatch.setattr(story, "MODEL", MODEL)
            begin(ports)

    def asked_events(*given: Any, **more: Any) -> list[Event]:
        first_the_other()
        return events(*given, **more)

    def asked_locks() -> Any:
        first_the_other()
        return locks()

    monkeypatch.setattr(ports.journal, "events", asked_events)
    monkeypatch.setattr(ports.journal, "locks", asked_locks)
    assert story._ended(ports) in (1, -1)
