"""The chain: whatever is done to a journal is found, and where."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.domain.chain import Head, LockRow, Row, findings, seal

TEXT = st.text(max_size=6)
CONTENT = st.tuples(st.floats(0, 2e9), TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)


def _chained(contents: list[tuple[Any, ...]]) -> list[Row]:
    rows: list[Row] = []
    for number, content in enumerate(contents, 1):
        row = Row(number, *content, digest="")
        rows.append(replace(row, digest=row.link(rows[-1].digest if rows else "")))
    return rows


def _head(rows: list[Row]) -> Head | None:
    return Head(rows[-1].number, rows[-1].digest) if rows else None


def _numbers(rows: list[Row], head: Head | None) -> list[int]:
    return [f.number for f in findings(rows, head, ())]


FIVE = _chained([(float(n), "flights", "r1", "EVIDENCE", "a", "", "{}") for n in range(5)])
LOCK = LockRow("flights", "r1", 3, seal("flights", "r1", 3))


class TestNothingWrong:
    @given(st.lists(CONTENT, max_size=6))
    def test_what_was_appended_is_sound(self, contents: list[tuple[Any, ...]]) -> None:
        rows = _chained(contents)
        assert _numbers(rows, _head(rows)) == []


class TestAnEventIsAltered:
    @given(st.lists(CONTENT, min_size=1, max_size=6), st.data())
    def test_any_other_value_in_any_column_is_found_at_its_event(
        self, contents: list[tuple[Any, ...]], data: st.DataObject
    ) -> None:
        rows = _chained(contents)
        place = data.draw(st.integers(0, len(rows) - 1))
        column = data.draw(st.sampled_from([f.name for f in fields(Row) if f.name != "number"]))
        old = getattr(rows[place], column)
        new = data.draw((st.floats(0, 2e9) if column == "at" else st.text(max_size=6)).filter(lambda v: v != old))
        head = _head(rows)
        rows[place] = replace(rows[place], **{column: new})
        found = _numbers(rows, head)
        assert found[0] == place + 1
        assert set(found) <= {place + 1}

    def test_a_damaged_digest_does_not_cast_doubt_on_the_event_behind_it(self) -> None:
        rows = [*FIVE[:2], replace(FIVE[2], digest="0" * 64), *FIVE[3:]]
        assert _numbers(rows, _head(FIVE)) == [3]

    def test_an_event_that_was_rewritten_with_a_fitting_digest_breaks_the_link_of_the_next(self) -> None:
        forged = replace(FIVE[2], author="somebody else")
        rows = [*FIVE[:2], replace(forged, digest=forged.link(FIVE[1].digest)), *FIVE[3:]]
        assert _numbers(rows, _head(FIVE)) == [4]


class TestEventsAreMissing:
    @pytest.mark.parametrize("place", range(4))
    def test_a_deleted_event_is_named(self, place: int) -> None:
        rows = FIVE[:place] + FIVE[place + 1 :]
        assert _numbers(rows, _head(FIVE)) == [place + 1]

    @pytest.mark.parametrize("kept", range(5))
    def test_a_lost_end_is_known_from_the_head(self, kept: int) -> None:
        (found,) = findings(FIVE[:kept], _head(FIVE), ())
        assert found.message == f"the end is cut off: events {kept + 1} to 5 are missing"

    def test_a_lost_end_stays_known_when_the_journal_went_on(self) -> None:
        later = replace(FIVE[0], number=6)
        later = replace(later, digest=later.link(FIVE[4].digest))
        assert _numbers([*FIVE[:3], later], _head([later])) == [4]

    def test_a_lost_head_is_a_finding(self) -> None:
        assert _numbers(FIVE, None) == [5]


class TestEventsAreMovedOrAdded:
    def test_two_that_changed_places_are_both_found(self) -> None:
        rows = [FIVE[0], replace(FIVE[2], number=2), replace(FIVE[1], number=3), *FIVE[3:]]
        assert _numbers(rows, _head(FIVE))[:2] == [2, 3]

    def test_lines_of_a_file_that_changed_places_are_found(self) -> None:
        assert 2 in _numbers([FIVE[0], FIVE[2], FIVE[1], *FIVE[3:]], _head(FIVE))

    def test_an_event_behind_the_head_was_appended_by_nobody(self) -> None:
        sixth = replace(FIVE[0], number=6)
        sixth = replace(sixth, digest=sixth.link(FIVE[4].digest))
        assert _numbers([*FIVE, sixth], _head(FIVE)) == [6]

    def test_an_event_that_is_there_twice_is_found(self) -> None:
        assert _numbers([*FIVE[:2], FIVE[1], *FIVE[2:]], _head(FIVE)) == [2]


class TestDamageOfTheType:
    """SQLite keeps any type in any column, and a flipped bit may change it."""

    @pytest.mark.parametrize("value", [None, b"\xff", 7, "text", float("nan")])
    @pytest.mark.parametrize("column", ["at", "model", "kind", "data", "digest"])
    def test_a_value_of_another_type_is_found_at_its_event(self, column: str, value: Any) -> None:
        rows = [*FIVE[:2], replace(FIVE[2], **{column: value}), *FIVE[3:]]
        assert _numbers(rows, _head(FIVE))[0] == 3

    @pytest.mark.parametrize("number", [None, "5", b"5"])
    def test_a_head_that_names_no_number_is_found(self, number: Any) -> None:
        assert _numbers(FIVE, Head(number, FIVE[4].digest)) == [5]

    @pytest.mark.parametrize("token", [None, "3", 3.5, b"3"])
    def test_a_token_that_is_no_number_is_found(self, token: Any) -> None:
        (found,) = findings([], None, [replace(LOCK, token=token)])
        assert "seal differs" in found.message


class TestLocks:
    def test_a_sound_lock_says_nothing(self) -> None:
        assert list(findings([], None, [LOCK])) == []

    @pytest.mark.parametrize("change", [{"model": "claims"}, {"holder": None}, {"token": 4}, {"seal": "0" * 64}])
    def test_an_altered_lock_is_found_by_its_seal(self, change: dict[str, Any]) -> None:
        (found,) = findings([], None, [replace(LOCK, **change)])
        assert "seal differs" in found.message

    @pytest.mark.parametrize(("locks", "said"), [([LOCK], "token 3, but 7 was used"), ([], "lock of model 'flights' is missing")])
    def test_a_lock_that_would_hand_out_an_old_token_again_is_found(self, locks: list[LockRow], said: str) -> None:
        rows = _chained([(1.0, "flights", "r1", "OPENED", "a", "", json.dumps({"token": 7}))])
        (found,) = findings(rows, _head(rows), locks)
        assert said in found.message
