"""All tests: `python -m tests`, with any options of pytest. First those that stand alone, two at once; then, one by one, those that
start real things, which share the machine and measure time. At the end what became of both; the exit status is the worse one.
"""

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

REAL = "stack or gateway or cluster"
PARTS: dict[str, tuple[str, ...]] = {"two at once": ("-m", f"not ({REAL})", "-n", "2"), "one by one": ("-m", REAL)}
INTERRUPTED, NONE_SELECTED = 2, 5
"""Exit statuses of pytest; it calls itself interrupted also when a test file cannot be imported."""


def main() -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", default="", help="joined with the marks of each part")
    mine, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = {part: Path(folder) / f"{part}.xml" for part in PARTS}
        codes: list[int] = []
        for part in PARTS:
            if INTERRUPTED not in codes:
                codes.append(_run(PARTS[part], mine.m, [f"--junitxml={reports[part]}", *others]))
        print("".join(f"\n{part}: {_told(report)}" for part, report in reports.items() if report.exists()))
    return max((code for code in codes if code != NONE_SELECTED), default=NONE_SELECTED)


def _run(part: tuple[str, ...], marks: str, options: Sequence[str]) -> int:
    """One pytest; its exit status."""
    flag, which, *how = part
    command = [sys.executable, "-m", "pytest", *how, flag, f"({which}) and ({marks})" if marks else which, *options]
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # pytest got it too, and stops what it has started
                continue


def _told(report: Path) -> str:
    """Counts, and the names of what failed: those of the first part have scrolled away."""
    suite = next(ET.parse(report).getroot().iter("testsuite"))
    tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = [case for case in suite.iter("testcase") if case.find("failure") is not None or case.find("error") is not None]
    counts = (
        f"{tests - skipped - len(failed)} passed, {len(failed)} failed, {skipped} skipped in {float(suite.attrib['time']):.0f} s"
    )
    return "\n  ".join([counts, *(f"{case.attrib['classname']}::{case.attrib['name']}" for case in failed)])


if __name__ == "__main__":
    raise SystemExit(main())
