"""An answer of Prometheus as a table: rows of buckets, and the processes behind them. What cannot be trusted whole is refused.

No part of it is guessed: a pod that is not seen, an old sample, a number that is none make the source missing, never smaller.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sluicegate.adapters.promql_meter.prometheus import Sample, Vector
from sluicegate.errors import UnavailableError

STALE_S = 3.0
"""Seconds, three intervals of scraping: an older sample is missing. So far apart may the counters of one reading be at most."""


class Key(NamedTuple):
    """Which row: what one role counted, of slow requests beyond a bound, of all or of one segment."""

    role: str
    row: str
    bound: str = ""
    segment: str = ""


class Process(NamedTuple):
    """One process behind one target, from its start to its end."""

    instance: str
    pod: str
    process: str


@dataclass(frozen=True)
class Table:
    """What one source told, all of it of one evaluation."""

    at: float
    rows: Mapping[Key, Mapping[int, float]]
    told: Mapping[Key, int]
    """How many processes tell a row."""
    facts: Mapping[str, Mapping[Process, float]] = field(default_factory=dict)
    """Fact -> process -> value; of targets the process is empty."""

    @property
    def processes(self) -> tuple[Process, ...]:
        """Those that are there."""
        return tuple(self.facts.get("taken_at", {}))

    def each(self, fact: str) -> list[float]:
        """A fact of every process that is there; UnavailableError when one does not tell it."""
        known = self.facts.get(fact, {})
        if any(process not in known or not math.isfinite(known[process]) for process in self.processes):
            raise UnavailableError(f"not every pod tells its {fact}")
        return [known[process] for process in self.processes]

    def began_at(self) -> float:
        """When the sum over the processes began: the first one's start, or the end of the last one that the sum has lost.

        A process that joins adds what it counted since its start, which is later: that is no reset.
        """
        present = set(self.processes)
        lost = [at for process, at in self.facts.get("last_seen", {}).items() if process not in present]
        return max([min(self.each("started_at")), *lost])

    def row(self, key: Key, length: int) -> tuple[float, ...]:
        """One row; UnavailableError unless it has this many finite numbers."""
        values = self.rows.get(key, {})
        numbers = tuple(values.get(place, math.nan) for place in range(length))
        if len(values) != length or not all(map(math.isfinite, numbers)):
            raise UnavailableError(f"{' '.join(filter(None, key))} are no {length} finite numbers")
        return numbers

    def counts(self, key: Key, length: int) -> tuple[int, ...]:
        """One row of whole numbers."""
        values = self.row(key, length)
        whole = tuple(map(int, values))
        if whole != values:
            raise UnavailableError(f"{' '.join(filter(None, key))} are no whole numbers")
        return whole


def table(vector: Vector) -> Table:
    """Sort the samples; UnavailableError when one is neither a row's nor a fact."""
    rows: dict[Key, dict[int, float]] = defaultdict(dict)
    told: dict[Key, int] = {}
    facts: dict[str, dict[Process, float]] = defaultdict(dict)
    for sample in vector.samples:
        labels = sample.labels
        fact = labels.get("fact")
        if fact is None:
            rows[_key(labels)][_place(labels)] = sample.value
        elif fact == "told":
            told[_key(labels)] = int(sample.value)
        elif fact != "now":
            _put(facts[fact], sample)
    return Table(vector.at, rows, told, facts)


def _put(known: dict[Process, float], sample: Sample) -> None:
    labels = sample.labels
    known[Process(labels.get("instance", ""), labels.get("pod", ""), labels.get("process", ""))] = sample.value


def _key(labels: Mapping[str, str]) -> Key:
    return Key(labels.get("role", ""), labels.get("row", ""), labels.get("bound", ""), labels.get("segment", ""))


def _place(labels: Mapping[str, str]) -> int:
    try:
        return int(labels["bucket"])
    except (KeyError, ValueError) as e:
        raise UnavailableError(f"a row has no bucket ({dict(labels)})") from e


def check_targets(table: Table) -> None:
    """UnavailableError when a target that could have counted is not seen, or what is seen is old or seen twice.

    A pod that has never been scraped and is new is starting: it counted nothing yet. One that said that it ends has ended.
    """
    up = table.facts.get("up", {})
    if not up:
        raise UnavailableError("Prometheus scrapes no pod of it")
    silent = [target.pod or target.instance for target, value in up.items() if value != 1 and _counts(table, target)]
    if silent:
        raise UnavailableError(f"{len(silent)} of {len(up)} pods cannot be scraped ({', '.join(sorted(silent)[:3])})")
    speaking = {process[:2] for process in table.processes}
    mute = [target.pod or target.instance for target, value in up.items() if value == 1 and target[:2] not in speaking]
    if mute:
        raise UnavailableError(
            f"{len(mute)} of {len(up)} pods are scraped and tell no evidence of it ({', '.join(sorted(mute)[:3])})"
        )
    _check_processes(table)


def _counts(table: Table, target: Process) -> bool:
    """Whether a target that is silent now may have counted something that nobody has seen."""
    seen = table.facts.get("last_seen", {})
    mine = sorted((process for process in seen if process[:2] == target[:2]), key=lambda process: seen[process])
    if mine:
        return mine[-1] not in table.facts.get("ended", {})
    return any(before[:2] == target[:2] for before in table.facts.get("up_before", {}))


def _check_processes(table: Table) -> None:
    if not table.processes:
        raise UnavailableError("none of its pods has been scraped yet")
    names = [process.process for process in table.processes if process.process]
    if len(set(names)) != len(names):
        raise UnavailableError("a pod is scraped by two targets at the same time: its counts would be added twice")
    age = table.at - min(table.each("sampled_at"))
    if not age <= STALE_S:
        raise UnavailableError(f"the newest sample is {age:.1f} s old, more than {STALE_S:g} s")
