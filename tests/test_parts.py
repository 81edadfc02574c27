"""`make test` runs its parts, joins their ends and leaves no test out."""

from pathlib import Path

import pytest
from tests.__main__ import INTERRUPTED, NONE_SELECTED, PARTS, PASSED, REAL, command, told, worst

FAILED = 1


def test_every_test_is_in_one_of_the_two_parts() -> None:
    assert [which for which, *_ in PARTS.values()] == [f"not ({REAL})", REAL]


def test_marks_that_a_user_asks_for_choose_within_each_part() -> None:
    words = command("one by one", "not cluster", ["-k", "lease"])
    assert words[words.index("-m", 2) + 1 :] == ["(stack or gateway or cluster) and (not cluster)", "-k", "lease"]
    assert command("one by one", "", [])[-1] == REAL


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([PASSED, PASSED], PASSED),
        ([FAILED, PASSED], FAILED),
        ([PASSED, FAILED], FAILED),
        ([INTERRUPTED], INTERRUPTED),
        ([PASSED, NONE_SELECTED], PASSED),
        ([NONE_SELECTED, FAILED], FAILED),
        ([NONE_SELECTED, NONE_SELECTED], NONE_SELECTED),
    ],
)
def test_the_status_is_the_worse_one_and_a_part_without_tests_is_none(codes: list[int], status: int) -> None:
    assert worst(codes) == status


def test_the_summary_counts_and_names_what_failed_or_could_not_begin(tmp_path: Path) -> None:
    report = tmp_path / "part.xml"
    report.write_text(
        '<testsuites><testsuite tests="4" failures="1" errors="1" skipped="1" time="12.6">'
        '<testcase classname="tests.a" name="good"/><testcase classname="tests.a" name="away"><skipped/></testcase>'
        '<testcase classname="tests.a" name="bad"><failure/></testcase><testcase classname="tests.b" name="none"><error/></testcase>'
        "</testsuite></testsuites>"
    )
    assert told(report).splitlines() == ["1 passed, 2 failed, 1 skipped in 13 s", "  tests.a::bad", "  tests.b::none"]
