"""One way to wait: the answer as soon as it is true, and one sentence when the time is over."""

import time

import pytest

from sluicegate.testing.waiting import wait_until


def test_what_is_true_at_once_is_asked_once_and_costs_no_pause() -> None:
    began, answers = time.monotonic(), iter(["here"])
    assert wait_until(lambda: next(answers), within=60.0, pause=60.0) == "here"
    assert time.monotonic() - began < 30.0


def test_what_becomes_true_later_is_asked_again_and_its_answer_returned() -> None:
    answers = iter([None, "", [], 0, "here"])
    assert wait_until(lambda: next(answers), pause=0.0) == "here"
    assert list(answers) == []


def test_what_never_becomes_true_ends_in_a_sentence_that_says_what_was_missing() -> None:
    with pytest.raises(TimeoutError, match=r"^not within 0\.02 s: a first version$"):
        wait_until(lambda: False, within=0.02, what="a first version")


def test_nobody_says_what_is_missing_and_the_question_is_named() -> None:
    def anybody_is_home() -> bool:
        return False

    with pytest.raises(TimeoutError, match="anybody_is_home"):
        wait_until(anybody_is_home, within=0.0)


def test_the_present_state_is_looked_up_once_and_only_when_the_time_is_over() -> None:
    asked, told = list[int](), list[int]()

    def ask() -> bool:
        asked.append(1)
        return False

    def state() -> str:
        told.append(len(asked))
        return f"asked {len(asked)} times"

    with pytest.raises(TimeoutError, match=r"asked \d+ times"):
        wait_until(ask, within=0.05, what=state)
    assert told == [len(asked)]
    assert wait_until(lambda: "here", what=state) == "here"
    assert len(told) == 1


def test_who_has_no_time_at_all_still_asks_once() -> None:
    assert wait_until(lambda: 7, within=0.0) == 7


def test_an_answer_that_comes_after_the_time_is_taken_all_the_same() -> None:
    def slow() -> str:
        time.sleep(0.02)
        return "here"

    assert wait_until(slow, within=0.01) == "here"


def test_an_oserror_is_a_no_and_the_last_one_is_the_cause() -> None:
    turns = iter([ConnectionRefusedError("not yet"), ConnectionResetError("nor now"), None])

    def ask() -> str:
        if problem := next(turns):
            raise problem
        return "here"

    assert wait_until(ask, pause=0.0) == "here"

    def away() -> bool:
        raise ConnectionRefusedError("never")

    with pytest.raises(TimeoutError, match="not within 0 s") as over:
        wait_until(away, within=0.0)
    assert isinstance(over.value.__cause__, ConnectionRefusedError)


def test_any_other_error_is_the_callers() -> None:
    def wrong() -> bool:
        raise ValueError("not a question")

    with pytest.raises(ValueError, match="not a question"):
        wait_until(wrong)
