"""Malformed spec.yaml files, seeded."""

import random
from collections.abc import Callable, Iterator

from sluicegate.testing.hostile.strings import HOSTILE

Draw = random.Random
VALUES = (
    "null",
    "[]",
    "{}",
    "-1",
    ".nan",
    ".inf",
    "1e400",
    "yes",
    "2023-13-45",
    "0o777",
    "!!binary aGk=",
    "!!set {a}",
    "!!omap [a: 1]",
    "? [a]",
    "'",
    '"\\',
    "@x",
    "`x`",
    "%x",
    "9" * 400,
)


def specs(seed: int, count: int, valid: str) -> Iterator[tuple[str, bytes]]:
    """So many spec files that are wrong or dangerous, made from the text of a valid one."""
    draw = random.Random(seed)  # noqa: S311 - the same seed must give the same bytes
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind.__name__.strip("_"), kind(draw, valid)


def _noise(draw: Draw, _: str) -> bytes:
    return draw.randbytes(draw.choice((0, 1, 50, 5000)))


def _flipped(draw: Draw, valid: str) -> bytes:
    content = bytearray(valid.encode())
    for _ in range(draw.randint(1, 6)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


def _cut_short(draw: Draw, valid: str) -> bytes:
    return valid.encode()[: draw.randrange(len(valid))]


def _bomb(draw: Draw, valid: str) -> bytes:
    laughs = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    ways = ("\n".join(laughs), "a: &a {b: *a}", "a: &a [*a]", "<<: &m {<<: *m}", f"{valid}\nx: &x [1]\ny: *x")
    return draw.choice(ways).encode()


def _deep(draw: Draw, valid: str) -> bytes:
    depth = draw.choice((50, 1000, 50_000))
    return draw.choice((b"[" * depth, b"{a: " * depth, valid.encode() + b"\nx: " + b"[" * depth + b"]" * depth, b"- " * depth))


def _huge(draw: Draw, valid: str) -> bytes:
    return valid.encode() + draw.choice(
        (b"\n#" + b"x" * 3_000_000, b"\nx: '" + b"y" * 3_000_000 + b"'", b"\nx: [" + b"1," * 500_000 + b"]")
    )


def _object(draw: Draw, valid: str) -> bytes:
    tags = (
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!!python/object/new:os.system [x]",
    )
    return f"{valid}\nx: {draw.choice(tags)}\n".encode()


def _value(draw: Draw, valid: str) -> bytes:
    """A value of the valid spec replaced, wherever it stands."""
    lines = valid.splitlines()
    places = [n for n, line in enumerate(lines) if ":" in line]
    n = draw.choice(places)
    key = lines[n].partition(":")[0]
    lines[n] = f"{key}: {draw.choice((*VALUES, repr(draw.choice(HOSTILE))))}"
    return "\n".join(lines).encode("utf-8", "replace")


def _unknown(draw: Draw, valid: str) -> bytes:
    return (valid + f"\n{draw.choice(('x', repr(draw.choice(HOSTILE)[:3000])))}: {draw.choice(VALUES)}\n").encode(
        "utf-8", "replace"
    )


def _encoding(draw: Draw, valid: str) -> bytes:
    return draw.choice(
        (
            valid.encode("utf-16"),
            valid.encode("utf-32"),
            b"\xff\xfe" + valid.encode(),
            valid.encode() + b"\n\x00\xff",
            b"\xef\xbb\xbf" * 2 + valid.encode(),
        )
    )


KINDS: tuple[Callable[[Draw, str], bytes], ...] = (
    *(_noise, _flipped, _cut_short, _bomb, _deep, _huge, _object, _value, _unknown, _encoding),
)
