"""Replays request rows through the gateway at a steady rate, as users would send them, and counts what they got.

    python -m sluicegate_demo.replay --model flights --rows requests.parquet --rate 150 --stats stats.json

Writes the statistics every half second and at the end: sent, answered, failed (anything but 200, and every lost connection), by version.
Stops by itself after the last row, or with --loop after --seconds or on SIGTERM, when all requests in flight are answered.
"""

import argparse
import asyncio
import json
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pyarrow.parquet as pq
import uvloop

IN_FLIGHT = 64
"""Most requests under way at once: what a pool of clients would have open."""


@dataclass
class Tally:
    """What the clients saw."""

    started_at: float = field(default_factory=time.time)
    sent: int = 0
    answered: int = 0
    failed: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=20_000))

    def to_dict(self) -> dict[str, Any]:
        ordered = sorted(self.latencies_ms)
        quantile = (
            {f"p{q}": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 3) for q in (50, 95, 99)} if ordered else {}
        )
        return {
            "started_at": self.started_at,
            "written_at": time.time(),
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "versions": dict(self.versions),
            "failures": dict(self.failures),
            "latency_ms": quantile,
        }


async def replay(args: argparse.Namespace) -> Tally:
    """Send the rows; returns when the last answer is there."""
    tally, stop = Tally(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    rows = _chosen(pq.read_table(args.rows).to_pylist(), args.sample)
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT, keepalive_timeout=5)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:
        writer = asyncio.create_task(_write_often(tally, args.stats))
        await _send_all(session, args, rows, tally, stop)
        writer.cancel()
    _write(tally, args.stats)
    return tally


def _chosen(rows: list[dict[str, Any]], sample: int) -> list[dict[str, Any]]:
    """`sample` rows at random, in random order and always the same; 0 takes all, in their order."""
    return random.Random(sample).sample(rows, min(sample, len(rows))) if sample else rows  # noqa: S311


async def _send_all(
    session: aiohttp.ClientSession, args: argparse.Namespace, rows: list[dict[str, Any]], tally: Tally, stop: asyncio.Event
) -> None:
    begun, places, tasks = time.perf_counter(), asyncio.Semaphore(IN_FLIGHT), set()
    for number, row in enumerate(_stream(rows, loop=args.loop)):
        late = begun + number / args.rate - time.perf_counter()
        if late > 0:
            await asyncio.sleep(late)
        if stop.is_set() or (args.seconds and time.perf_counter() - begun > args.seconds):
            break
        await places.acquire()
        task = asyncio.create_task(_send(session, args, row, tally, places))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)


def _stream(rows: list[dict[str, Any]], *, loop: bool) -> Iterator[dict[str, Any]]:
    """The rows in order; looped, every round asks again about the same flights under new request ids."""
    for turn in count():
        for row in rows:
            yield row if turn == 0 else {**row, "request_id": f"{row['request_id']}#{turn}"}
        if not loop:
            return


async def _send(
    session: aiohttp.ClientSession, args: argparse.Namespace, row: Mapping[str, Any], tally: Tally, places: asyncio.Semaphore
) -> None:
    headers = {"x-user-id": str(row[args.user]), "x-request-id": row["request_id"], "content-type": "application/json"}
    tally.sent += 1
    begun = time.perf_counter()
    try:
        async with session.post(args.url, data=orjson.dumps(row, default=str), headers=headers) as answer:
            body = await answer.read()
            tally.latencies_ms.append(1000 * (time.perf_counter() - begun))
            if answer.status == 200:
                tally.answered += 1
                tally.versions[answer.headers.get("x-model-version", "?")] += 1
            else:
                tally.failed += 1
                tally.failures[f"{answer.status} {body[:200].decode(errors='replace')}"] += 1
    except (aiohttp.ClientError, TimeoutError) as e:
        tally.failed += 1
        tally.failures[f"{type(e).__name__} {e}"[:200]] += 1
    finally:
        places.release()


async def _write_often(tally: Tally, path: Path) -> None:
    while True:
        _write(tally, path)
        await asyncio.sleep(0.5)


def _write(tally: Tally, path: Path) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(tally.to_dict()))
    fresh.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=Path, required=True, help="parquet file of request rows")
    parser.add_argument("--user", default="tailnum", help="field that names the user")
    parser.add_argument("--gateway", default="http://127.0.0.1:8182")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--loop", action="store_true", help="begin again after the last row")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after this time; 0 goes on")
    parser.add_argument(
        "--sample", type=int, default=0, help="only so many rows, at random and in random order; 0 takes all in order"
    )
    parser.add_argument("--stats", type=Path, required=True, help="where the statistics are written (JSON)")
    args = parser.parse_args()
    args.url = f"{args.gateway}/models/{args.model}/predict"
    tally = uvloop.run(replay(args))
    print(json.dumps(tally.to_dict()))


if __name__ == "__main__":
    main()
