"""A tiny server that stands where a model server would: `python -m sluicegate.testing.stub_server PORT VERSION [HOST]`.

It answers every POST with what it was asked, and misbehaves on order, so that a gateway can be tested without a model:
`POST /behave {"status": 500, "delay_s": 0.0}`; `GET /seen` tells what it got, users' requests and mirrored copies apart.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

from sluicegate.domain.route import ANSWERS


@dataclass
class Seen:
    """What arrived so far; `behave` and `seen` themselves are not counted."""

    answers: int = 0
    copies: int = 0
    last_answer_at: float = 0.0
    """Seconds since the epoch at which the last user's request came in."""


@dataclass
class Behaviour:
    """How to answer."""

    status: int = 200
    delay_s: float = 0.0


class StubServer:
    """One listening stub."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.seen = Seen()
        self.behaviour = Behaviour()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one after the other."""
        try:
            while True:
                line, headers, body = await read_message(reader)
                status, answer = await self._answer(line, headers, body)
                payload = json.dumps(answer).encode()
                head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(payload)}\r\nx-model-version: {self.version}\r\n\r\n"
                writer.write(head.encode() + payload)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, line: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        path = line.split(" ")[1]
        if path == "/seen":
            return 200, asdict(self.seen)
        if path == "/behave":
            self.behaviour = Behaviour(**json.loads(body))
            return 200, {}
        self._count(headers)
        behaviour = self.behaviour
        await asyncio.sleep(behaviour.delay_s)
        return behaviour.status, {"version": self.version, "headers": headers, "bytes": len(body)}

    def _count(self, headers: dict[str, str]) -> None:
        if headers["host"].endswith("-shadow") or headers.get(ANSWERS, self.version) != self.version:
            self.seen.copies += 1
        else:
            self.seen.answers += 1
            self.seen.last_answer_at = time.time()


async def read_message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """One HTTP/1.1 message with a content-length: first line, headers in lower case, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        return head[0], headers, await _chunks(reader)
    return head[0], headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


async def run(port: int, version: str, host: str = "127.0.0.1") -> None:
    """Listen, on loopback unless told otherwise, until killed, or until whoever started it is gone."""
    server = await asyncio.start_server(StubServer(version).serve, host, port, backlog=512)
    parent = os.getppid()
    async with server:
        while os.getppid() == parent:
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), *sys.argv[2:4]))
