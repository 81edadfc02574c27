"""What every journal keeps. Run over each adapter and over the fake: subclass, and give a `journal` fixture."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.domain.chain import chain
from sluicegate.errors import InputError, LockedError, RefusedError, StaleTokenError
from sluicegate.ports.journal import Journal

HARMLESS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
UNALARMING = (HealthCheck.function_scoped_fixture, HealthCheck.differing_executors)
"""One journal takes all examples, and each journal has a class."""
KEPT = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.lists(st.text())
)
"""What data may hold: any JSON."""


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

    def test_anybody_can_recompute_every_digest_from_the_event_and_the_one_before(self, journal: Journal) -> None:
        for number in range(3):
            journal.append("flights", "r1", "EVIDENCE", {"b": 0.1 + number, "a": [number, None]}, author="é", reason="why")
        before = ""
        for e in journal.events("flights"):
            body = json.dumps(e.data, sort_keys=True)
            assert e.digest == chain(before, e.number, e.at, e.model, e.rollout, e.kind, e.author, e.reason, body)
            before = e.digest

    def test_every_digest_differs_though_the_events_are_equal(self, journal: Journal) -> None:
        same = [journal.append("flights", "r1", "EVIDENCE", {}, author="a").digest for _ in range(3)]
        assert len(set(same)) == 3

    def test_not_a_number_is_refused_and_nothing_is_written(self, journal: Journal) -> None:
        with pytest.raises(ValueError, match="JSON"):
            journal.append("flights", "r1", "EVIDENCE", {"x": float("nan")}, author="a")
        assert journal.events("flights") == []

    @pytest.mark.parametrize(
        "texts",
        [
            {"model": "m" * 65},
            {"rollout": "r" * 65},
            {"kind": "K" * 33},
            {"author": "a" * 201},
            {"reason": "why " * 501},
            {"author": "no\0body"},
            {"reason": "half \ud83d"},
        ],
    )
    def test_a_text_that_not_every_database_keeps_is_refused_and_nothing_is_written(
        self, journal: Journal, texts: dict[str, str]
    ) -> None:
        said = {"model": "flights", "rollout": "r1", "kind": "CUT", "author": "a", "reason": ""} | texts
        with pytest.raises(InputError, match=next(iter(texts))):
            journal.append(said["model"], said["rollout"], said["kind"], {}, author=said["author"], reason=said["reason"])
        assert journal.events("flights") == []

    @given(data=st.dictionaries(st.text(max_size=5), KEPT, max_size=5), author=st.text(HARMLESS, max_size=200))
    @settings(max_examples=40, suppress_health_check=UNALARMING, deadline=None)
    def test_whatever_is_written_comes_back_to_the_last_bit(self, journal: Journal, data: dict[str, Any], author: str) -> None:
        written = journal.append("flights", "r1", "EVIDENCE", data, author=author, reason="'; DROP TABLE events; --")
        (read,) = journal.events("flights", after=written.number - 1)
        assert read == written
        assert repr(sorted(read.data.items())) == repr(sorted(data.items()))

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
        assert journal.locks().get("flights") is None

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

    def test_a_lock_is_kept_when_its_holder_has_an_event_that_forbids_its_release(self, journal: Journal) -> None:
        token = journal.acquire("flights", "r1").token
        journal.append("flights", "r2", "REINSTATED", {}, author="a")
        journal.release("flights", token, unless=("REINSTATED",))
        assert journal.locks().get("flights") is None
        lock = journal.acquire("flights", "r1")
        journal.append("flights", "r1", "REINSTATED", {}, author="a", token=lock.token)
        journal.release("flights", lock.token, unless=("PROMOTED", "REINSTATED"))
        assert journal.locks().get("flights") == lock
        journal.release("flights", lock.token)
        assert journal.locks().get("flights") is None

    def test_the_locks_are_those_that_are_held_now_by_name(self, journal: Journal) -> None:
        assert journal.locks() == {}
        flights, claims = journal.acquire("flights", "r1"), journal.acquire("claims", "r2")
        assert list(journal.locks().items()) == [("claims", claims), ("flights", flights)]
        journal.release("flights", flights.token)
        assert journal.locks() == {"claims": claims}

    def test_a_stale_release_changes_nothing(self, journal: Journal) -> None:
        old = journal.acquire("flights", "r1").token
        journal.release("flights", old)
        journal.acquire("flights", "r2")
        journal.release("flights", old)
        held = journal.locks().get("flights")
        assert held is not None
        assert held.holder == "r2"
