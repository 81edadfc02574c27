"""Malformed HTTP requests, seeded: the same seed and number give the same bytes."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from sluicegate.testing.hostile.strings import HOSTILE

PATH = "/models/toy/predict"
Draw = random.Random
ROW: dict[str, Any] = {
    "request_id": "r1",
    "event_time": "2013-08-01T10:00:00Z",
    "tailnum": "N1",
    "distance": 500.0,
    "wind": 3.0,
    "carrier": "AA",
    "stops": 1,
    "cargo": False,
    "scheduled": "2013-08-01T10:00:00Z",
}
"""A valid row of the toy model."""
WRONG: tuple[Any, ...] = (
    *(None, True, [], {}, [[1]], {"a": {"b": 1}}, -1, 1.5, 10**18, -(10**25), 1e308, -1e308, 5e-324, "1", "NaN"),
    *("2013-13-45T99:99:99Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59", "2013-08-01", "20130801T100000Z"),
)
NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "0x10",
    "01",
    "+1",
    "1_000",
    ".5",
    "5.",
    "9" * 5000,
    "1" * 400 + ".0",
)
LENGTHS = ("-1", "+5", "0x10", "5, 5", "5,6", "1e3", "", " ", "9" * 30, "9" * 5000, "18446744073709551616", "00", "٣", "nan")
CODINGS = (
    "chunked, chunked",
    "identity, chunked",
    "chunked, identity",
    "xchunked",
    " chunked",
    "chunked\x00",
    "gzip",
    "Chunked;q=1",
)
CHUNKS = (
    b"-1\r\n",
    b"FFFFFFFFFFFFFFFF\r\nx",
    b"5;" + b"a" * 9000 + b"\r\nhello\r\n",
    b"g\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"\r\n",
    b"5\nhello\n",
)


def requests(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """So many malformed requests: what kind, and the bytes."""
    draw = random.Random(seed)  # noqa: S311 - the same seed must give the same bytes
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind.__name__.strip("_"), kind(draw)


def valid(row: dict[str, Any] | None = None) -> bytes:
    """A request that must be answered."""
    return _post(json.dumps(row or ROW).encode())


def _post(body: bytes, *lines: str, path: str = PATH, length: str | None = None, method: str = "POST") -> bytes:
    said = str(len(body)) if length is None else length
    head = [f"{method} {path} HTTP/1.1", "Host: x", *lines, f"Content-Length: {said}"]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def _noise(draw: Draw) -> bytes:
    return draw.randbytes(draw.choice((1, 7, 64, 1000, 70_000)))


def _other_protocol(draw: Draw) -> bytes:
    return draw.choice(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + draw.randbytes(30),
            b"GET /\r\n",
            b"\x05\x01\x00",
            b"SSH-2.0-x\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + valid(),
            b"POST " + PATH.encode() + b" HTTP/9.9\r\n\r\n",
            b"POST " + PATH.encode() + b" HTTP/1.0\r\n\r\n{}",
        )
    )


def _flipped(draw: Draw) -> bytes:
    """A valid request with some bytes changed, removed or repeated."""
    sent = bytearray(valid())
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(sent))
        match draw.randrange(3):
            case 0:
                sent[at] = draw.randrange(256)
            case 1:
                del sent[at : at + draw.randint(1, 9)]
            case _:
                sent[at:at] = sent[at : at + draw.randint(1, 40)]
    return bytes(sent)


def _length(draw: Draw) -> bytes:
    body = json.dumps(ROW).encode()
    lengths = (*LENGTHS, str(len(body) + draw.choice((-5, -1, 1, 50))))
    more = (f"Content-Length: {draw.choice(lengths)}",) if draw.random() < 0.4 else ()
    return _post(body, *more, length=draw.choice(lengths))


def _no_length(draw: Draw) -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + draw.choice((b"", json.dumps(ROW).encode(), b"\x00" * 10))


def _smuggled(draw: Draw) -> bytes:
    """Two lengths, or two ways to tell it: whoever reads it otherwise than the one before sees a second request."""
    inner = b"GET /evidence HTTP/1.1\r\nHost: y\r\n\r\n"
    coding = draw.choice(("chunked", *CODINGS))
    name = draw.choice(
        ("Transfer-Encoding", "Transfer-Encoding ", "transfer-encoding", "Transfer_Encoding", " Transfer-Encoding")
    )
    return _post(b"0\r\n\r\n" + inner, f"{name}: {coding}")


def _chunked(draw: Draw) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + draw.choice(
        (*CHUNKS, b"%x\r\n" % 70_000 + b"x" * 70_000 + b"\r\n0\r\n\r\n", b"4\r\nnull\r\n0\r\n" + b"T: x\r\n" * 3000 + b"\r\n")
    )


def _headers(draw: Draw) -> bytes:
    text = draw.choice(HOSTILE)
    name = draw.choice(
        ("x-user-id", "x-request-id", "x-sluicegate-start", "x-envoy-attempt-count", "host", "expect", "upgrade", "connection")
    )
    named = {"x-user-id": "tailnum", "x-request-id": "request_id"}.get(name)  # without it in the body the header is read
    body = json.dumps({k: v for k, v in ROW.items() if k != named}).encode()
    return _post(body, f"{name}: {draw.choice((text[:20_000], '9' * 5000, '1' * 400, '-5', '100-continue', 'h2c', 'é'))}")


def _many_headers(draw: Draw) -> bytes:
    return _post(b"{}", *(f"h{n}: {'x' * draw.choice((1, 100))}" for n in range(draw.choice((200, 2000)))))


def _long_head(draw: Draw) -> bytes:
    return _post(b"{}", f"long: {'x' * draw.choice((20_000, 70_000, 300_000))}")


def _path(draw: Draw) -> bytes:
    ways = (
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e",
        "/%00",
        "/%ff%fe",
        "/%",
        "/a%2fb",
        "//x//",
        "http://evil/x",
        "*",
        "?" + "a" * 70_000,
        "/é",
    )
    text = draw.choice(HOSTILE).replace(" ", "+").replace("\r", "").replace("\n", "")
    where = draw.choice((*ways, PATH + draw.choice(ways), f"/models/{text[:9000]}/predict"))
    return _post(
        b"{}", path=where, method=draw.choice(("GET", "POST", "PUT", "CONNECT", "TRACE", "DELETE", "OPTIONS", "HEAD", "BREW", ""))
    )


def _no_json(draw: Draw) -> bytes:
    whole = json.dumps(ROW)
    bodies = (
        whole[: draw.randrange(len(whole))].encode(),
        b"\xff\xfe" + whole.encode(),
        whole.replace("N1", "\udcff").encode("utf-8", "surrogateescape"),
        whole.replace('"N1"', '"\\ud800"').encode(),
        whole.encode("utf-16"),
        b"[" * draw.choice((100, 5000, 60_000)),
        b'{"a":' * 9000,
        b"[" * 1000 + b"]" * 1000,
        *(json.dumps(wrong).encode() for wrong in WRONG[:9]),
        whole.replace("500.0", draw.choice(NUMBERS)).encode(),
        b'{"tailnum": "N1", "tailnum": "N2", "distance": 1, "distance": {}}',
        b" " * draw.choice((65_000, 65_537, 200_000)),
    )
    return _post(draw.choice(bodies))


def _wrong_field(draw: Draw) -> bytes:
    row = dict(ROW)
    for name in draw.sample(sorted(ROW), draw.randint(1, 3)):
        row[name] = draw.choice((*WRONG, draw.choice(HOSTILE)[:60_000]))
    if draw.random() < 0.3:
        row[draw.choice(HOSTILE)[:5000]] = draw.choice(WRONG)
    return _post(json.dumps(row).encode("utf-8", "replace"))


def _too_large(draw: Draw) -> bytes:
    return _post(b'{"x": "' + b"y" * draw.choice((70_000, 300_000, 2_000_000)) + b'"}')


def _pipelined(draw: Draw) -> bytes:
    return valid() * draw.randint(2, 5) + draw.choice((b"", b"\x00", b"GARBAGE\r\n\r\n", _noise(draw)[:100]))


def _cut_short(draw: Draw) -> bytes:
    return valid()[: draw.randrange(1, len(valid()))]


KINDS: tuple[Callable[[Draw], bytes], ...] = (
    *(_noise, _other_protocol, _flipped, _length, _no_length, _smuggled, _chunked, _headers, _many_headers),
    *(_long_head, _path, _no_json, _wrong_field, _too_large, _pipelined, _cut_short),
)
