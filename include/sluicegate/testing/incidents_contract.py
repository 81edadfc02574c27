"""What everything that keeps and tells incidents keeps. Subclass, and give `incidents`, `kept` and `heard`."""

from collections.abc import Callable
from typing import Any

import pytest

from sluicegate.domain.notice import Notice
from sluicegate.ports.incidents import Incidents


def notice(what: str = "reverted", at: float = 1_700_000_000.25, **more: Any) -> Notice:
    """A notice with numbers of every kind that there is."""
    numbers = {"weight": 10, "verified": True, "gate": "p95_ms", "gate_numbers": {"requests": 812.0}}
    return Notice("toy", "abc123", what, at, "anna", "customers call", "10 % are slow", more.pop("numbers", numbers))


class IncidentsContract:
    """Tests that every implementation of the Incidents port passes."""

    @pytest.fixture
    def incidents(self) -> Incidents:
        raise NotImplementedError

    @pytest.fixture
    def kept(self) -> Callable[[str], dict[str, Any]]:
        """What was recorded at a place that `record` has returned."""
        raise NotImplementedError

    @pytest.fixture
    def heard(self) -> Callable[[], list[dict[str, Any]]]:
        """What the people's receiver has got so far."""
        raise NotImplementedError

    def test_a_record_has_what_when_who_why_and_the_numbers(
        self, incidents: Incidents, kept: Callable[[str], dict[str, Any]]
    ) -> None:
        assert kept(incidents.record(notice())) == notice().to_dict()

    def test_the_same_thing_recorded_again_is_one_record(
        self, incidents: Incidents, kept: Callable[[str], dict[str, Any]]
    ) -> None:
        first = incidents.record(notice())
        again = incidents.record(notice(numbers={"weight": 0}))
        assert first == again
        assert kept(again)["numbers"] == {"weight": 0}

    def test_two_things_of_one_rollout_are_two_records(self, incidents: Incidents) -> None:
        places = {incidents.record(notice("withdrawn", at=at)) for at in (1.0, 2.0)} | {incidents.record(notice())}
        assert len(places) == 3

    def test_what_is_told_is_heard_as_it_is_recorded(
        self, incidents: Incidents, heard: Callable[[], list[dict[str, Any]]]
    ) -> None:
        incidents.tell(notice())
        assert heard() == [notice().to_dict()]
