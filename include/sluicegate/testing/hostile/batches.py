"""Label files that are broken or full of nonsense, seeded: csv, JSON lines, parquet, or none of them."""

import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.testing.hostile.strings import HOSTILE
from sluicegate.testing.ingest_world import HEADER, csv, told

Draw = random.Random
ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    "nan",
    "inf",
    -1e308,
    1e400,
    10**25,
    "1,5",
    "2093-01-01",
    "0001-01-01T00:00:00Z",
    "r1",
    '"',
    "a\rb",
)
MAGIC = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"%PDF", b"PAR1", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"{", b"[", b"\x00")


def batches(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """So many files: what kind, and their bytes."""
    draw = random.Random(seed)  # noqa: S311 - the same seed must give the same bytes
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind.__name__.strip("_"), kind(draw) + b"\n" * (kind is not _parquet)


def _rows(draw: Draw) -> list[dict[str, Any]]:
    """Labels of requests that were asked, some of them with fields that are nonsense."""
    rows = [told(draw.randrange(220)) for _ in range(draw.randint(1, 12))]
    for row in draw.sample(rows, draw.randint(0, len(rows))):
        row[draw.choice(sorted(row))] = draw.choice((*ODD, draw.choice(HOSTILE)[:5000]))
    return rows


def _noise(draw: Draw) -> bytes:
    return draw.choice(MAGIC) + draw.randbytes(draw.choice((0, 3, 100, 5000)))


def _csv(draw: Draw) -> bytes:
    return (
        csv(_rows(draw))
        .decode("utf-8", "replace")
        .encode(draw.choice(("utf-8", "utf-16", "cp1252", "utf-8-sig", "utf-32")), "replace")
    )


def _flipped(draw: Draw) -> bytes:
    content = bytearray(csv(_rows(draw)))
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(len(content))] = draw.choice((0, 10, 13, 34, 44, 255, draw.randrange(256)))
    return bytes(content)


def _quotes(draw: Draw) -> bytes:
    return csv(_rows(draw)) + draw.choice((b'"r1,2', b'"' * 999, b'r1,"a\nb",1,2\n', b",,,,,,,,,\n", b"r1\n", b"=1+1,@x,-2,+3\n"))


def _header(draw: Draw) -> bytes:
    names = [draw.choice((*HEADER.split(","), draw.choice(HOSTILE)[:200].replace("\n", " "))) for _ in range(draw.randint(1, 6))]
    return (",".join(names) + "\nr1,2023-03-01T00:01:00Z,1,2023-06-01T00:00:00Z\n").encode()


def _wide(draw: Draw) -> bytes:
    return draw.choice(
        (b"a," * 20_000 + b"b\n1", HEADER.encode() + b"\n" + b"x" * 1_000_000, HEADER.encode() + b"\n" + b"," * 100_000)
    )


def _json_lines(draw: Draw) -> bytes:
    lines = [json.dumps(row, default=str) for row in _rows(draw)]
    wrong = (
        '{"request_id": NaN}',
        "[1]",
        "{",
        '{"a": {"b": [1]}}',
        '{"request_id": "\\ud800"}',
        "null",
        '{"loss": 1e999}',
        '{"a":' * 3000,
    )
    lines += draw.sample(wrong, draw.randint(0, 3))
    draw.shuffle(lines)
    return "\n".join(["{}" if draw.random() < 0.2 else lines[0], *lines]).encode()


def _parquet(draw: Draw) -> bytes:
    rows = [{k: v if isinstance(v, float) and k == "loss" else str(v) for k, v in row.items()} for row in _rows(draw)]
    if any(not isinstance(row["loss"], float) for row in rows):
        rows = [{**row, "loss": str(row["loss"])} for row in rows]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    content = bytearray(sink.getvalue())
    for _ in range(draw.choice((0, 0, 1, 4))):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content[: draw.choice((len(content), len(content), draw.randrange(len(content))))])


KINDS: tuple[Callable[[Draw], bytes], ...] = (_noise, _csv, _flipped, _quotes, _header, _wide, _json_lines, _parquet)
