"""All tests: `python -m tests`, with any options of pytest. First those that stand alone, two at once; then, one by one, those that
start real things, which share the machine and measure time. At the end what became of both; the exit status is the worse one.
"""

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path

REAL = "stack or gateway or cluster"
PARTS = {"two at once": (f"not ({REAL})", "-n", "2"), "one by one": (REAL,)}
"""Name -> which tests, by their marks, and how pytest runs them."""
PASSED, INTERRUPTED, NONE_SELECTED = 0, 2, 5
"""Exit statuses of pytest; it calls itself interrupted also when a test file cannot be imported."""


def main() -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", default="", help="joined with the marks of each part")
    mine, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = {part: Path(folder) / f"{part}.xml" for part in PARTS}
        codes: list[int] = []
        for part, report in reports.items():
            if INTERRUPTED not in codes:
                codes.append(_run(command(part, mine.m, [f"--junitxml={report}", *others])))
        print("".join(f"\n{part}: {told(report)}" for part, report in reports.items() if report.exists()))
    return worst(codes)


def command(part: str, marks: str, options: Sequence[str]) -> list[str]:
    """The pytest of one part; of its tests those that have also the marks that the user wants, if any."""
    which, *how = PARTS[part]
    return [sys.executable, "-m", "pytest", *how, "-m", f"({which}) and ({marks})" if marks else which, *options]


def worst(codes: Iterable[int]) -> int:
    """A part of which nothing was selected is no failure, but for the case that nothing was selected at all."""
    return max((code for code in codes if code != NONE_SELECTED), default=NONE_SELECTED)


def told(report: Path) -> str:
    """Counts, and the names of what failed: those of the first part have scrolled away."""
    suite = next(ET.parse(report).getroot().iter("testsuite"))
    tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = [case for case in suite.iter("testcase") if case.find("failure") is not None or case.find("error") is not None]
    counts = (
        f"{tests - skipped - len(failed)} passed, {len(failed)} failed, {skipped} skipped in {float(suite.attrib['time']):.0f} s"
    )
    return "\n  ".join([counts, *(f"{case.attrib['classname']}::{case.attrib['name']}" for case in failed)])


def _run(words: Sequence[str]) -> int:
    with subprocess.Popen(words) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # pytest got it too, and stops what it has started
                continue


if __name__ == "__main__":
    raise SystemExit(main())
