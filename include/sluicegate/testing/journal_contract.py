"""What every journal keeps. Run over each adapter and over the fake: subclass, and give a `journal` fixture."""

import pytest

from sluicegate.errors import LockedError, RefusedError, StaleTokenError
from sluicegate.ports.journal import Journal


class JournalContract:
    """Tests that every implementation of the Journal port passes."""

    @pytest.fixture
    def journal(self) -> Journal:
        raise NotImplementedError

    def test_events_come_back_in_the_order_in_which_they_were_appended(self, journal: Journal) -> None:
        for number in range(5):
            journal.append("flights", "r1", "EVIDENCE", {"n": number}, author="test")
        assert [e.data["n"] for e in journal.events("flights")] == [0, 1, 2, 3, 4]
        assert [e.number for e in journal.events("flights")] == [1, 2, 3, 4, 5]

    def test_events_are_found_by_model_rollout_kind_and_number(self, journal: Journal) -> None:
        journal.append("flights", "r1", "OPENED", {}, author="a")
        journal.append("flights", "r2", "OPENED", {}, author="b", reason="why")
        journal.append("claims", "r3", "OPENED", {}, author="c")
        journal.append("flights", "r2", "CUT", {"x": 1.5}, author="b")
        assert [e.author for e in journal.events("flights", "r2")] == ["b", "b"]
        assert [e.kind for e in journal.events("flights", after=2)] == ["CUT"]
        assert [e.rollout for e in journal.events("flights", kinds=("OPENED",))] == ["r1", "r2"]
        assert journal.events("flights", "r2")[0].reason == "why"

    def test_every_digest_differs_though_the_events_are_equal(self, journal: Journal) -> None:
        same = [journal.append("flights", "r1", "EVIDENCE", {}, author="a").digest for _ in range(3)]
        assert len(set(same)) == 3

    def test_not_a_number_is_refused_and_nothing_is_written(self, journal: Journal) -> None:
        with pytest.raises(ValueError, match="JSON"):
            journal.append("flights", "r1", "EVIDENCE", {"x": float("nan")}, author="a")
        assert journal.events("flights") == []

    def test_a_second_holder_is_refused_by_the_name_of_the_first(self, journal: Journal) -> None:
        journal.acquire("flights", "r1")
        with pytest.raises(LockedError, match="r1"):
            journal.acquire("flights", "r2")
        assert journal.acquire("claims", "r2").token == 1

    def test_the_holder_asking_again_keeps_its_token(self, journal: Journal) -> None:
        assert journal.acquire("flights", "r1") == journal.acquire("flights", "r1")

    def test_the_token_grows_with_every_new_holder(self, journal: Journal) -> None:
        tokens = []
        for name in ("r1", "r2", "r1"):
            tokens.append(journal.acquire("flights", name).token)
            journal.release("flights", tokens[-1])
        assert tokens == sorted(set(tokens))
        assert journal.holder("flights") is None

    def test_a_stale_writer_is_refused_and_writes_nothing(self, journal: Journal) -> None:
        old = journal.acquire("flights", "r1").token
        journal.release("flights", old)
        journal.acquire("flights", "r2")
        with pytest.raises(StaleTokenError):
            journal.append("flights", "r1", "PROMOTED", {}, author="late", token=old)
        assert journal.events("flights") == []

    def test_a_writer_whose_lock_was_given_back_is_stale_though_nobody_took_it(self, journal: Journal) -> None:
        old = journal.acquire("flights", "r1").token
        journal.release("flights", old)
        with pytest.raises(StaleTokenError):
            journal.append("flights", "r1", "STAGE_ENTERED", {}, author="late", token=old)

    def test_an_event_that_excludes_another_is_refused_once_that_is_written(self, journal: Journal) -> None:
        journal.append("flights", "r1", "PROMOTED", {}, author="a")
        with pytest.raises(RefusedError, match="PROMOTED already"):
            journal.append("flights", "r1", "REVERTED", {}, author="b", unless=("PROMOTED", "CUT"))
        journal.append("flights", "r2", "REVERTED", {}, author="b", unless=("PROMOTED", "CUT"))
        assert [e.kind for e in journal.events("flights")] == ["PROMOTED", "REVERTED"]

    def test_a_stale_release_changes_nothing(self, journal: Journal) -> None:
        old = journal.acquire("flights", "r1").token
        journal.release("flights", old)
        journal.acquire("flights", "r2")
        journal.release("flights", old)
        held = journal.holder("flights")
        assert held is not None
        assert held.holder == "r2"
