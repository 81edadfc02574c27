"""What a long journal costs: size, seconds and memory of its commands, and how long a verb waits for what it asks.

python benchmarks/journal.py [EVENTS ...]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path

from sqlalchemy import create_engine, insert, text

from sluicegate.actions.release import (
    champion_version,
    deploy,
    enter_stage,
    open_rollout,
    open_watch,
    promote,
    status,
)
from sluicegate.adapters.sql_journal import SqlArchive, SqlJournal
from sluicegate.adapters.sql_journal.schema import EVENTS
from sluicegate.domain.chain import Row, seal
from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import parse_spec
from sluicegate.testing.ports import FakePorts

LENGTHS = (10_000, 100_000)
SPEC = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {
        "stages": [{"mirror": 50, "bake": "10m"}, {"weight": 10, "bake": "10m"}, {"weight": 100, "bake": "10m"}],
        "gates": {"p95_ms": 25, "error_rate": {"margin": 0.02}},
        "look_every": "5s",
    },
}
PREDICTED = {"rows": 10_000, "mean_score": 0.3, "decision_rate": 0.2, "histogram": [1 / SCORE_BINS] * SCORE_BINS}
NAMES = [column.name for column in EVENTS.columns]


def one_release(folder: Path) -> tuple[list[Row], list[Row]]:
    """The journal of a first version, and that of a release: three stages of ten minutes, looked at every five seconds."""
    url = f"sqlite:///{folder}/one.db"
    ports = FakePorts(parse_spec(SPEC, "toy/spec.yaml"))
    ports.journal = SqlJournal(url)
    for version in ("1", "2"):
        ports.register(version, predicted={**PREDICTED, "champion_mean_score": 0.3, "champion_decision_rate": 0.2})
    first = open_rollout(ports, "toy", "1", author="benchmark", run_id="first")
    deploy(ports, "toy", first.rollout_id, author="benchmark")
    promote(ports, "toy", first.rollout_id, author="benchmark")
    begun = len(_rows(url))
    mine = open_rollout(ports, "toy", "2", author="benchmark", run_id="second").rollout_id
    deploy(ports, "toy", mine, author="benchmark")
    for index in range(3):
        enter_stage(ports, "toy", mine, index, author="benchmark")
        watch = open_watch(ports, "toy", mine, index, author="benchmark")
        while not watch.look().decided:
            ports.clock.sleep(watch.look_every)
    promote(ports, "toy", mine, author="benchmark")
    rows = _rows(url)
    return rows[:begun], rows[begun:]


def long_journal(folder: Path, events: int, first: list[Row], release: list[Row]) -> str:
    """A journal of so many events: the same release again and again, each under its own id and token."""
    url = f"sqlite:///{folder}/long-{events}.db"
    SqlJournal(url).locks().get("toy")  # makes the tables
    rows = list(_chained(events, first, release))
    token = 2 * sum(row.kind == Kind.OPENED for row in rows)
    with create_engine(url).begin() as db:
        for start in range(0, len(rows), 1000):
            db.execute(insert(EVENTS), [dict(zip(NAMES, astuple(r), strict=True)) for r in rows[start : start + 1000]])
        db.execute(text("INSERT INTO head VALUES (1, :n, :d)"), {"n": rows[-1].number, "d": rows[-1].digest})
        db.execute(
            text("INSERT INTO locks (model, holder, token, seal) VALUES ('toy', NULL, :t, :s)"),
            {"t": token, "s": seal("toy", None, token)},
        )
    return url


def _chained(events: int, first: list[Row], release: list[Row]) -> Iterator[Row]:
    before, moved = "", 0
    for turn in range(1 + -(-(events - len(first)) // len(release))):
        rows = release if turn else first
        for row in rows:
            if row.number + moved > events:
                return
            data = json.loads(row.data)
            if row.kind == Kind.OPENED:
                data["token"] = 2 * turn + 1
            if row.kind == Kind.EVIDENCE:
                data["reading"]["since"] += moved
            rollout = row.rollout and f"{row.rollout[:6]}{turn:06}"
            again = replace(row, number=row.number + moved, rollout=rollout, data=json.dumps(data, sort_keys=True))
            again = replace(again, digest=again.link(before))
            before = again.digest
            yield again
        moved += len(release) if turn else 0


def _rows(url: str) -> list[Row]:
    with SqlArchive(url).read() as book:
        return list(book.rows)


def command(url: str, *words: str) -> str:
    """CPU seconds and peak memory of one command, the start of Python included."""
    environment = {**os.environ, "SLUICEGATE_JOURNAL_URL": url}
    process = subprocess.Popen([sys.executable, "-m", "sluicegate", *words], env=environment, stdout=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    if code:
        raise RuntimeError(f"{' '.join(words)} ended {os.waitstatus_to_exitcode(code)}")
    return f"{used.ru_utime + used.ru_stime:.1f} s, {used.ru_maxrss / 1024:.0f} MB"


def asked(url: str) -> list[str]:
    """CPU milliseconds for the champion, for where the newest rollout stands, and for one event more; medians of nine."""
    ports = FakePorts(parse_spec(SPEC, "toy/spec.yaml"))
    ports.journal = SqlJournal(url)
    asks = (
        lambda: champion_version(ports, "toy"),
        lambda: status(ports, "toy"),
        lambda: ports.journal.append("toy", "", "NOTE", {}, author="benchmark"),
    )
    return [_median_ms(ask) for ask in asks]


def _median_ms(ask: Callable[[], object]) -> str:
    spent = []
    for _ in range(9):
        begun = time.process_time()
        ask()
        spent.append(1000 * (time.process_time() - begun))
    return f"{sorted(spent)[4]:.1f} ms"


def main() -> None:
    lengths = tuple(int(word) for word in sys.argv[1:]) or LENGTHS
    print("| events | size | champion | status | append | verify | replay | export |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, release = one_release(folder)
        for events in lengths:
            url = long_journal(folder, events, first, release)
            size = (folder / f"long-{events}.db").stat().st_size / 1e6
            spent = [command(url, "journal", *words) for words in (["verify"], ["replay"], ["export", f"{folder}/out.jsonl"])]
            print(f"| {events} | {size:.0f} MB | {' | '.join([*asked(url), *spent])} |", flush=True)


if __name__ == "__main__":
    main()
