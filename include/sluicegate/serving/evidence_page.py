"""The judge's counters for Prometheus: one series a row and user-hash bucket, all of one instant, cheap enough for every second.

    sluicegate_evidence{role, row, bucket}            requests, errors, decisions, score_sum ...: the rows of `ArmCounters`
    sluicegate_evidence{role, row="slow", bound, ...} slow requests; bound in milliseconds as in the spec
    sluicegate_evidence{..., segment}                 the same of one segment, "field=value"
    sluicegate_evidence_process{fact, process, ...}   what the process that counts is, and when it counted

Model and version of the rows are the labels of Prometheus's target; the facts say them once more in the server's own words.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Any

import orjson

CONTENT_TYPE = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
ROWS, FACTS = "sluicegate_evidence", "sluicegate_evidence_process"
_ROWS_HEAD = f"# HELP {ROWS} Evidence for the judge, a row and a user-hash bucket each\n# TYPE {ROWS} untyped\n".encode()
_FACTS_HEAD = f"# HELP {FACTS} What the process that counts the evidence is\n# TYPE {FACTS} untyped\n".encode()
_NOT_ROWS = {"started_at", "slow", "segments"}
Labels = tuple[tuple[str, str], ...]
Row = tuple[Labels, Sequence[float]]


class EvidencePage:
    """Writes the page; the text before each number is made once."""

    def __init__(self) -> None:
        self._prefixes: dict[Labels, list[bytes]] = {}

    def text(self, rows: Iterable[Row], facts: Iterable[tuple[Labels, float | None]]) -> bytes:
        """The exposition format of these rows and facts; a fact that is not known is left out."""
        told = [series(FACTS, labels) + orjson.dumps(value) for labels, value in facts if value is not None]
        return b"\n".join([_ROWS_HEAD, *self._lines(rows), _FACTS_HEAD, *told, b""])

    def _lines(self, rows: Iterable[Row]) -> Iterator[bytes]:
        for labels, values in rows:
            prefixes = self._prefixes.get(labels)
            if prefixes is None:
                prefixes = [series(ROWS, (*labels, ("bucket", f"{n}"))) for n in range(len(values))]
                self._prefixes[labels] = prefixes
            numbers = orjson.dumps(values)[1:-1].replace(b"null", b"NaN").split(b",")
            yield b"\n".join(map(add, prefixes, numbers))


def series(name: str, labels: Labels) -> bytes:
    """A series up to its number."""
    inner = ",".join(f'{key}="{escaped(value)}"' for key, value in labels)
    return f"{name}{{{inner}}} ".encode()


def escaped(text: str) -> str:
    """A label's value as it stands between quotes, in the exposition format and in PromQL alike."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def rows(role: str, counted: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of one role as `Counters.to_dict` tells them."""
    for name, values in counted.items():
        if name not in _NOT_ROWS and len(values):
            yield (("role", role), ("row", name)), values
    for bound, values in counted["slow"].items():
        yield (("role", role), ("row", "slow"), ("bound", bound)), values
    for segment, told in counted["segments"].items():
        for labels, values in _segment(told):
            yield (("role", role), *labels, ("segment", segment)), values


def _segment(told: Mapping[str, Any]) -> Iterator[Row]:
    for name in ("requests", "errors", "decisions"):
        yield (("row", name),), told[name]
    for bound, values in told["slow"].items():
        yield (("row", "slow"), ("bound", bound)), values
