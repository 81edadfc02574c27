"""A small client that behaves like many: keep-alive connections, a paced rate, and a record of every answer."""

import asyncio
import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from types import TracebackType
from typing import Any, Self

from sluicegate.testing.stub_server import read_message

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """One request as its client saw it; status 0 when the connection broke."""

    user: str
    sent_at: float
    answered_at: float
    """Seconds since the epoch."""
    status: int
    served_by: str = ""
    version: str = ""
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return not 200 <= self.status < 300


def ask(
    port: int, model: str, users: Iterable[str], *, connections: int = 8, body: bytes = b"{}", host: str = LOOPBACK
) -> list[Answer]:
    """Send one request a user, as fast as it goes, and wait for all answers."""
    links = [_Connection(port, model, host) for _ in range(connections)]
    return asyncio.run(_ask_all(links, iter(users), body))


def ask_one(
    port: int, model: str, user: str | None, *, body: bytes = b"{}", headers: Sequence[str] = (), host: str = LOOPBACK
) -> Answer:
    """Send one request with these further header lines; no user id when `user` is None."""

    async def once() -> Answer:
        async with _Connection(port, model, host) as connection:
            return await connection.ask(user, body, headers)

    return asyncio.run(once())


class Load:
    """Traffic in the background while the `with` block runs; `answers` grows, and is complete after the block.

    Parameters
    ----------
    rate
        Requests a second, all connections together.
    body
        What every request says, or what one after the other says, again and again; its user stands in a header.
    """

    def __init__(
        self,
        port: int,
        model: str,
        users: Sequence[str],
        *,
        rate: float = 200.0,
        connections: int = 8,
        body: bytes | Sequence[bytes] = b'{"distance": 1400}',
        host: str = LOOPBACK,
    ) -> None:
        self.answers: list[Answer] = []
        self._connections = [_Connection(port, model, host) for _ in range(connections)]
        self._users, self._bodies = cycle(users), cycle([body] if isinstance(body, bytes) else body)
        self._ticks = count()
        self._gap = 1.0 / rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def failures(self) -> list[Answer]:
        """Answers that a client would call failed."""
        return [answer for answer in self.answers if answer.failed]

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    async def _run(self) -> None:
        await asyncio.gather(*(self._drive(connection) for connection in self._connections))

    async def _drive(self, connection: "_Connection") -> None:
        async with connection:
            while not self._stop.is_set():
                due = self._started + next(self._ticks) * self._gap
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.answers.append(await connection.ask(next(self._users), next(self._bodies)))


async def _ask_all(links: Sequence["_Connection"], users: Iterator[str], body: bytes) -> list[Answer]:
    answers: list[Answer] = []

    async def work(link: "_Connection") -> None:
        async with link:
            for user in users:
                answers.append(await link.ask(user, body))

    await asyncio.gather(*map(work, links))
    return answers


class _Connection:
    """One keep-alive connection to the gateway, opened when needed."""

    def __init__(self, port: int, model: str, host: str) -> None:
        self._host, self._port = host, port
        self._path = f"/models/{model}/predict"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, user: str | None, body: bytes, headers: Sequence[str] = ()) -> Answer:
        """Send one request; a broken connection is an answer with status 0."""
        sent = time.time()
        try:
            line, got, content = await self._exchange(user, body, headers)
        except (OSError, asyncio.IncompleteReadError):
            await self._close()
            return Answer(user or "", sent, time.time(), 0)
        status = int(line.split(" ")[1])
        if got.get("connection") == "close":
            await self._close()
        served, version = got.get("x-served-by", ""), got.get("x-model-version", "")
        return Answer(user or "", sent, time.time(), status, served, version, json.loads(content or b"{}"))

    async def _exchange(self, user: str | None, body: bytes, headers: Sequence[str]) -> tuple[str, dict[str, str], bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        lines = [f"POST {self._path} HTTP/1.1", "host: gateway", f"content-length: {len(body)}", *headers]
        if user is not None:
            lines.append(f"x-user-id: {user}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return await read_message(reader)

    async def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()
