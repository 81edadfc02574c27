"""Compact readings: what goes in comes out, to the last bit."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluicegate.domain.compact import WHOLE_EVERY, Base, change, pack, patch, plain, since, trail, unpack
from sluicegate.domain.evidence import Reading
from sluicegate.domain.spec import StageSpec
from sluicegate.errors import InputError
from sluicegate.testing.evidence import Service

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.just(-0.0)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
TREES = st.recursive(
    LEAVES | st.lists(NUMBERS, max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def _readings(looks: int, rate: float = 150.0) -> list[Reading]:
    return list(Service(7, rate=rate).readings(StageSpec(weight=25, bake=60), looks * 0.5))


def _journaled(readings: list[Reading]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The packed form of all but the first, as read back from a journal in which the first is event 10."""
    base = Base(10, plain(readings[0]))
    for number, reading in enumerate(readings[1:], 11):
        packed = json.loads(json.dumps(pack(reading, base)))
        yield number, packed
        base = unpack(packed, number, base)


class TestWhatGoesInComesOut:
    @given(before=TREES, now=TREES)
    def test_any_value_is_rebuilt_from_any_other_bit_for_bit(self, before: Any, now: Any) -> None:
        changed = json.loads(json.dumps(change(before, now)))
        assert repr(_ordered(patch(before, changed))) == repr(_ordered(now))

    @example([(-0.0, 1.7976931348623155e308)])
    @given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20))
    def test_counters_are_rebuilt_though_a_step_loses_bits(self, pairs: list[tuple[float, float]]) -> None:
        before, now = [a for a, _ in pairs], [b for _, b in pairs]
        assert repr(patch(before, json.loads(json.dumps(change(before, now))))) == repr(now)

    @given(TREES)
    def test_what_did_not_change_takes_nothing(self, tree: Any) -> None:
        assert change(tree, json.loads(json.dumps(tree))) == {}

    def test_a_stage_of_readings_comes_back_equal_from_the_journal(self) -> None:
        readings = _readings(2 * WHOLE_EVERY + 5)
        back = list(trail(Base(10, plain(readings[0])), _journaled(readings)))
        assert [b.reading for b in back] == readings[1:]
        assert [repr(b.tree) for b in back] == [repr(plain(r)) for r in readings[1:]]

    def test_a_source_that_goes_dark_and_comes_back_is_rebuilt(self) -> None:
        first, second, third = _readings(2)
        dark = replace(second, candidate=None, pairs=None, missing=("the candidate's server does not answer",))
        back = [b.reading for b in trail(Base(10, plain(first)), _journaled([first, dark, third]))]
        assert back == [dark, third]

    def test_not_a_number_is_kept_for_the_judge_to_refuse(self) -> None:
        first, second = _readings(1)
        assert second.champion is not None
        broken = replace(second, champion=replace(second.champion, score_sum=(float("nan"),) * 200))
        (back,) = trail(Base(10, plain(first)), _journaled([first, broken]))
        assert repr(back.reading) == repr(broken)

    def test_whole_readings_of_older_journals_are_read(self) -> None:
        readings = _readings(3)
        old = [(n, json.loads(json.dumps(r.to_dict()))) for n, r in enumerate(readings[1:], 11)]
        assert [b.reading for b in trail(Base(10, plain(readings[0])), old)] == readings[1:]

    def test_an_older_stage_goes_on_in_the_new_form(self) -> None:
        first, second, third = _readings(2)
        old = Base(11, json.loads(json.dumps(second.to_dict())))
        looks = [(11, old.tree), (12, pack(third, old))]
        assert [b.reading for b in trail(Base(10, plain(first)), looks)] == [second, third]


class TestSize:
    def test_a_look_takes_less_than_a_sixth_of_its_reading(self) -> None:
        readings = _readings(40)
        packed = sum(len(json.dumps(p)) for _, p in _journaled(readings))
        assert packed * 6 < sum(len(json.dumps(r.to_dict())) for r in readings[1:])

    def test_every_so_often_a_reading_stands_alone(self) -> None:
        whole = [number for number, packed in _journaled(_readings(2 * WHOLE_EVERY)) if "whole" in packed]
        assert whole == [10 + WHOLE_EVERY, 10 + 2 * WHOLE_EVERY]


class TestTwoWatchersAtOnce:
    def test_each_reading_stands_on_the_one_that_its_watcher_saw_and_the_newest_goes_on(self) -> None:
        start, a, b, c = _readings(3)
        entry = Base(10, plain(start))
        mine = unpack(pack(a, entry), 11, entry)
        looks = [(11, pack(a, entry)), (12, pack(b, entry)), (13, pack(c, mine))]
        assert [base.reading for base in trail(entry, looks)] == [a, c]
        assert [base.reading for base in trail(entry, looks[:2])] == [b]
        assert [since(p) for _, p in looks] == [10, 10, 11]

    def test_evidence_that_stands_on_a_missing_event_is_refused_by_its_number(self) -> None:
        readings = _readings(3)
        _, *rest = _journaled(readings)
        with pytest.raises(InputError, match="event 11"):
            list(trail(Base(10, plain(readings[0])), rest))

    def test_evidence_that_stands_on_itself_is_refused_and_not_followed_for_ever(self) -> None:
        start, a = _readings(1)
        with pytest.raises(InputError, match="event 11 stands on event 11"):
            list(trail(Base(10, plain(start)), [(11, pack(a, Base(11, plain(start))))]))


def _ordered(value: Any) -> Any:
    """Keys in order: a mapping is rebuilt equal, not in the same order."""
    if isinstance(value, dict):
        return {k: _ordered(value[k]) for k in sorted(value)}
    return [_ordered(v) for v in value] if isinstance(value, list) else value
