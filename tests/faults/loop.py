"""The whole loop under fire: labels land, and while they become a version in service something is killed.

    python -m tests.faults.loop --files 8 --seed 1

Each file of labels of a real study goes by arrival alone through ingest, retrain and release. In each a drawn target is killed at a
drawn action (validate, snapshot, train, compare, register) or in the release. Exit status 1 on any violation.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
import yaml
from tests.faults.invariants import violations
from tests.faults.lanes import LEASE_S, settings_in
from tests.faults.records import Hit, Records
from tests.faults.report import table
from tests.faults.tape import Tape
from tests.faults.targets import WORKING, Target
from tests.faults.witness import Witness
from tests.faults.world import end_of, end_stack, whole_journal
from tests.stack.conftest import MODEL, YEAR, Study, read_study

from sluicegate.actions.release import champion_version
from sluicegate.local.secrets import airflow_password
from sluicegate.local.stack import up
from sluicegate.settings import Settings
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring, wire
from sluicegate_demo.airflow import Airflow

ACTIONS = ("validate", "snapshot", "train", "compare", "register", "release")
FIRST_WITHIN = 300.0
FILE_WITHIN = 300.0
"""Seconds from the landing of a file to the end of everything that it starts."""
DAYS = 20
"""Days of labels in a file."""


@dataclass
class Loop:
    """One installation with one model, its data and its clients."""

    settings: Settings
    ports: Wiring
    airflow: Airflow
    study: Study
    tape: Tape
    target: Target
    witness: Witness
    say: Callable[[str], None]
    landed: dict[str, int] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def land(self, name: str, first: int, last: int) -> None:
        """What a producer of labels does."""
        part = self.study.days(first, last)
        self.ports.landing.drop(MODEL, name, part.write_labels(self.settings.home / "made" / name))
        self.landed[name] = len(part)

    def hit(self, target: str, action: str, delay: float) -> None:
        """Kill when the action is under way, or when a release is."""
        until = time.monotonic() + FILE_WITHIN / 2
        while time.monotonic() < until:
            if self._under_way(action):
                time.sleep(delay)
                with contextlib.suppress(LookupError):
                    return self._kill(target, action)
            time.sleep(0.02)
        return self.say(f"{action} was not seen")

    def finished(self) -> bool:
        """Every file is accounted for, nothing runs, and no rollout is open."""
        try:
            known = {str(r["name"]) for r in self.ports.dataset.batches(MODEL)}
            self.tape.wind()
            return set(self.landed) <= known and not self.tape.open() and not self._runs()
        except (requests.RequestException, OSError):
            return False

    def wait(self, what: str, seconds: float, done: Callable[[], bool]) -> None:
        """Until done; after so many seconds it is called stuck."""
        try:
            wait_until(done, seconds, what, pause=0.5)
        except TimeoutError as late:
            self.stuck.append(str(late))

    def records(self) -> Records:
        rows = [
            {"lane": MODEL, "name": r["name"], "landed": self.landed[str(r["name"])], **r["rows"]}
            for r in self.ports.dataset.batches(MODEL)
        ]
        journal = whole_journal(self.ports, MODEL)
        return Records(
            shown=self.witness.shown,
            held=self.witness.held,
            journal=journal,
            hits=self.hits,
            ends=[end_of(self.ports, self.witness, MODEL, trained=True)],
            ledgers=rows,
            stuck=self.stuck,
        )

    def _under_way(self, action: str) -> bool:
        if action == "release":
            self.tape.wind()
            return bool(self.tape.open())
        with contextlib.suppress(LookupError):
            return self.target.order()[1] == action
        return False

    def _kill(self, target: str, action: str) -> None:
        self.tape.wind()
        at, met = time.time(), self.tape.open()
        champion, candidate = self.tape.versions(MODEL)
        over = self.target.kill(target, MODEL, candidate if target == "candidate" and candidate else champion)
        over()
        self.hits.append(Hit(len(self.hits) + 1, target, "kill", MODEL, action, at, time.time(), met))
        self.say(f"kill {target} at {action}, back after {time.time() - at:.2f} s")

    def _runs(self) -> list[str]:
        return [v for v in ("ingest", "retrain", "release") if self.airflow.busy(f"{MODEL}_{v}")]


@contextmanager
def loop(home: Path, say: Callable[[str], None]) -> Iterator[Loop]:
    """Up, with two years of labels learned and clients who ask; nothing is left behind."""
    settings, study = settings_in(home), read_study()
    write_model(settings)
    ports = wire(settings)
    study.days(0, 4 * YEAR).write_requests(settings.data / MODEL / "history" / "requests.parquet")
    with contextlib.ExitStack() as left:
        left.callback(end_stack, settings)
        up(settings)
        airflow = Airflow(f"http://{settings.host}:{settings.airflow_port}", airflow_password(settings.home))
        witness = left.enter_context(Witness(settings))
        here = Loop(settings, ports, airflow, study, Tape(ports.journal, [MODEL]), Target(settings), witness, say)
        here.land("first.csv", 0, 2 * YEAR)
        here.wait("the first version", FIRST_WITHIN, lambda: champion_version(ports, MODEL) is not None and here.finished())
        rows = study.days(2 * YEAR, 3 * YEAR).write_requests(home / "asked.parquet")
        left.enter_context(clients(settings, rows))
        say("the first version is in service; clients begin")
        yield here


def write_model(settings: Settings) -> None:
    """The second model of the live tests, with the lease of the others here."""
    home = settings.models / MODEL
    source = settings.project / "tests" / "stack" / "models" / MODEL
    shutil.copytree(source, home, ignore=shutil.ignore_patterns("__pycache__"))
    spec = yaml.safe_load((home / "spec.yaml").read_text())
    spec["release"] |= {"lease": f"{LEASE_S:g}s", "retention": "1s"}
    (home / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


@contextmanager
def clients(settings: Settings, rows: Path) -> Iterator[None]:
    """Users who ask all the time."""
    gateway = f"http://{settings.host}:{settings.gateway_port}"
    what = ["--model", MODEL, "--rows", str(rows), "--user", "person", "--gateway", gateway, "--rate", "100", "--loop"]
    stats = ["--stats", str(settings.home / "clients.json")]
    process = subprocess.Popen([sys.executable, "-m", "sluicegate_demo.replay", *what, *stats], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def land_and_kill(here: Loop, files: int, dice: random.Random) -> None:
    """One file after the other, one victim each."""
    for number in range(files):
        target, action, delay = dice.choice(WORKING), ACTIONS[number % len(ACTIONS)], dice.uniform(0.0, 0.5)
        here.say(f"file {number + 1}: {target} at {action}")
        here.land(f"labels-{number:03}.csv", 2 * YEAR + number * DAYS, 2 * YEAR + (number + 1) * DAYS)
        here.hit(target, action, delay)
        here.wait(f"file {number + 1}", FILE_WITHIN, here.finished)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path)
    args = parser.parse_args()
    home = args.home or Path(tempfile.mkdtemp(prefix="faults-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with loop(home, lambda text: print(f"{time.monotonic() - began:7.1f} {text}", flush=True)) as here:
        with contextlib.suppress(KeyboardInterrupt):  # no more files; what was seen so far is judged
            land_and_kill(here, args.files, random.Random(args.seed))
        records = here.records()
    found = violations(records)
    records.save(home / "records.json")
    print(table(records, found))
    print("clients:", json.loads((home / "clients.json").read_text()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
