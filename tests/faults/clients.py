"""Clients of all lanes, in a process of their own, and what each of their requests came to: one JSON line a request.

    python -m tests.faults.clients --port 8182 --lanes 4 --rate 40 --log clients.jsonl

A client that cannot connect has sent nothing and says `refused`; a connection that ends under a request says `lost`.
"""

import argparse
import asyncio
import json
import random
import signal
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from tests.faults.lanes import body

from sluicegate.testing.stub_server import read_message

CONNECTIONS = 6
USERS = 300
PATIENCE_S = 15.0
"""A client gives up after this long; the gateway answers earlier, whatever its servers do."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def run(port: int, lanes: int, rate: float, log: TextIO) -> None:
    """Ask until SIGTERM."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    clients = [Client(port, f"lane{lane}", place, log) for lane in range(lanes) for place in range(CONNECTIONS)]
    await asyncio.gather(*(client.ask_until(stop, CONNECTIONS / rate) for client in clients))


class Client:
    """One keep-alive connection that asks for one user after the other."""

    def __init__(self, port: int, lane: str, place: int, log: TextIO) -> None:
        self._port, self._lane, self._log = port, lane, log
        self._numbers = count(place, CONNECTIONS)
        self._streams: Streams | None = None

    async def ask_until(self, stop: asyncio.Event, gap: float) -> None:
        """Ask every `gap` seconds; what an outage kept from being asked is not asked later."""
        due = time.monotonic() + random.random() * gap
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + gap, time.monotonic())
            await self._ask(next(self._numbers))

    async def _ask(self, number: int) -> None:
        entry = {"lane": self._lane, "user": f"u{number * 7 % USERS}", "id": f"{self._lane}/{number}", "sent": time.time()}
        status, version, arm, why = 0, "", "", ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                status, version, arm, why = await self._exchange(self._streams, number, entry)
        except ConnectionRefusedError:
            why = "refused"
        except (OSError, EOFError, TimeoutError) as problem:
            why = "timeout" if isinstance(problem, TimeoutError) else "lost"
        if why:
            self._hang_up()
        answer = {"status": status, "version": version, "arm": arm, "why": why}
        self._log.write(json.dumps({**entry, "done": time.time(), **answer}) + "\n")

    async def _exchange(self, streams: Streams, number: int, entry: Mapping[str, Any]) -> tuple[int, str, str, str]:
        reader, writer = streams
        content = body(number, entry["user"])
        lines = [f"POST /models/{self._lane}/predict HTTP/1.1", "host: gateway", f"content-length: {len(content)}"]
        lines += [f"x-user-id: {entry['user']}", f"x-request-id: {entry['id']}", "", ""]
        writer.write("\r\n".join(lines).encode() + content)
        await writer.drain()
        line, headers, _ = await read_message(reader)
        closes = "closed" if headers.get("connection") == "close" else ""
        return int(line.split(" ")[1]), headers.get("x-model-version", ""), headers.get("x-served-by", ""), closes

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lanes", type=int, required=True)
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second and lane")
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    with args.log.open("a", buffering=1) as log:
        asyncio.run(run(args.port, args.lanes, args.rate, log))


if __name__ == "__main__":
    main()
