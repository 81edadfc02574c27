"""Breaks one guard at a time in a copy of the package and lets the machine look for it: `python tests/machine/mutations.py`.

Each row says by which sentence the broken guard was noticed. A guard whose loss nobody notices is either not needed or not tested.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import sluicegate

PACKAGE = Path(sluicegate.__file__).parent
SEQUENCES = 600


@dataclass(frozen=True)
class Mutation:
    """One guard that is taken away: `old` stands exactly once in the file."""

    name: str
    file: str
    old: str
    new: str


MUTATIONS = (
    Mutation("a lease never ends", "domain/route.py", "return self.weight > 0 and (", "return self.weight > 100 and ("),
    Mutation("a lease of an hour", "actions/release/stage.py", "+ state.release.lease)", "+ 3600)"),
    Mutation("a stale token writes traffic", "domain/route.py", "if token < newest:", "if False:"),
    Mutation("a stale token writes the journal", "testing/journal.py", "if token is not None and token < newest:", "if False:"),
    Mutation(
        "the lock is given to everybody",
        "testing/journal.py",
        "if held is not None:\n            raise",
        "if False:\n            raise",
    ),
    Mutation("a rollout is opened twice", "actions/release/begin.py", "unless=(Kind.OPENED,)", "unless=()"),
    Mutation("stages are jumped", "actions/release/stage.py", "if index != state.next_stage:", "if False:"),
    Mutation(
        "weight grows without a PASS", "actions/release/stage.py", "if index > 0 and not state.records[-1].passed:", "if False:"
    ),
    Mutation(
        "a stage is entered after the end",
        "actions/release/stage.py",
        "data, author=author, token=state.token, unless=ENDS)",
        "data, author=author)",
    ),
    Mutation(
        "no FAIL is a PASS",
        "actions/release/watch.py",
        "if verdict.verdict is Verdict.PASS:",
        "if verdict.verdict is not Verdict.FAIL:",
    ),
    Mutation(
        "a stage is left during a pause",
        "actions/release/watch.py",
        'if state.paused_at is not None:\n            return "held"',
        'if False:\n            return "held"',
    ),
    Mutation(
        "promoted without a PASS of every stage",
        "actions/release/end.py",
        "if len(state.records) != len(state.stages) or not all(r.passed for r in state.records):",
        "if False:",
    ),
    Mutation(
        "promoted after the end", "actions/release/end.py", "author=author, token=state.token, unless=ENDS)", "author=author)"
    ),
    Mutation("a revert does not cut first", "actions/release/end.py", "route = cut(ports, state)", "route = None"),
    Mutation(
        "a cut leaves the weight",
        "domain/route.py",
        "replace(self, weight=0, mirror=0, expires_at=None, ",
        "replace(self, mirror=0, ",
    ),
    Mutation(
        "a revert keeps the lock",
        "actions/release/end.py",
        "        _end(ports, state, author, reason, outcome)\n    give_back_lock(ports, state)",
        "        _end(ports, state, author, reason, outcome)",
    ),
    Mutation(
        "a server in use is stopped", "actions/release/follow.py", "if not _needed(ports, state, state.candidate):", "if True:"
    ),
    Mutation(
        "the champion is retired", "actions/release/end.py", "        _refuse_retirement(ports, state, state.champion)\n", ""
    ),
)


def caught(mutation: Mutation, sequences: int = SEQUENCES) -> str:
    """The sentence by which the machine notices the mutation; empty when it does not."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "sluicegate"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        _break(copy / mutation.file, mutation)
        command = [
            sys.executable,
            "-m",
            "sluicegate.testing.machine",
            "--worker",
            "1",
            "--no-shrink",
            "--sequences",
            str(sequences),
        ]
        run = subprocess.run(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=False
        )
    said = re.findall(r"^(?:AssertionError|\w+Error): (.*)$", run.stderr + run.stdout, re.M)
    if run.returncode and not said:
        raise RuntimeError(f"'{mutation.name}' ended {run.returncode} without a sentence: {run.stderr[-2000:]}")
    return said[-1] if run.returncode else ""


def _break(path: Path, mutation: Mutation) -> None:
    source = path.read_text()
    if source.count(mutation.old) != 1:
        raise RuntimeError(
            f"'{mutation.name}': {mutation.file} holds {source.count(mutation.old)} times {mutation.old!r}: mend the mutation"
        )
    path.write_text(source.replace(mutation.old, mutation.new))


def main() -> int:
    """Print the table; 1 when a mutation went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="part of the names of the mutations to run")
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    args = parser.parse_args()
    missed = 0
    print("| guard taken away | noticed by |\n|---|---|")
    for mutation in (m for m in MUTATIONS if not args.only or args.only in m.name):
        begun = time.monotonic()
        sentence = caught(mutation, args.sequences)
        missed += not sentence
        print(f"| {mutation.name} | {sentence[:110] or 'NOT NOTICED'} ({time.monotonic() - begun:.0f} s) |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
