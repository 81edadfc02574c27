"""Runs that are done stay done: one line of JSON each, under a key of the judge's and the simulation's source text."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import sluicegate.gates
from judge.peers import Ending
from judge.rollouts import Run, Stage, run
from judge.scenarios import BY_NAME
from sluicegate.domain.verdict import Verdict
from sluicegate.stats import mixtures

CHUNK = 10
"""Seeds that a process takes at a time."""
SHOWN = ("__init__", "store", "tables", "plots")
"""Modules that do not change what a run finds."""


def source_key() -> str:
    """Changes with every change of the judge or of the simulation, but not of tables and plots."""
    files = [*sorted(Path(str(sluicegate.gates.__file__)).parent.rglob("*.py")), Path(str(mixtures.__file__))]
    own = Path(__file__).parent
    files += [path for path in sorted(own.glob("*.py")) if path.stem not in SHOWN]
    return sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


class Store:
    """The runs of one version of the sources."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{source_key()}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self._known = {(name, seed): raw for name, seed, raw in map(json.loads, lines)}

    def runs(self, wanted: Mapping[str, int], processes: int) -> dict[str, list[Run]]:
        """So many runs of each named scenario, seeds 0, 1, 2 ...: what is not known yet is simulated and kept."""
        jobs = sorted(self._missing(wanted), key=lambda job: job[1][0])  # all rows grow together
        with Pool(processes) as pool, self._path.open("a") as kept:
            for number, (name, done) in enumerate(pool.imap_unordered(_work, jobs), 1):
                for seed, raw in done:
                    self._known[name, seed] = raw
                    kept.write(json.dumps([name, seed, raw]) + "\n")
                kept.flush()
                print(f"\r{number} of {len(jobs)} parts", end="", file=sys.stderr, flush=True)
        return {name: [_run(self._known[name, seed]) for seed in range(number)] for name, number in wanted.items()}

    def _missing(self, wanted: Mapping[str, int]) -> Iterator[tuple[str, list[int]]]:
        for name, number in wanted.items():
            seeds = [seed for seed in range(number) if (name, seed) not in self._known]
            for start in range(0, len(seeds), CHUNK):
                yield name, seeds[start : start + CHUNK]


def _work(job: tuple[str, list[int]]) -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    name, seeds = job
    return name, [(seed, asdict(run(BY_NAME[name], seed))) for seed in seeds]


def _run(raw: dict[str, Any]) -> Run:
    told = tuple(Stage(**stage | {"verdict": Verdict(stage["verdict"])}) for stage in raw["stages"])
    return Run(told, {name: Ending(said) for name, said in raw["peers"].items()}, raw["seconds"])
