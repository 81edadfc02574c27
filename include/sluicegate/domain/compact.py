"""Readings, kept small: what changed since the reading before, exact to the last bit.

A reading has thousands of counters, of which a look changes a part by a little. The journal keeps the change and names the
event that it stands on (`since`); every so often a reading stands alone, so that none is far from a whole one. Nothing here
knows which fields a reading has. Journals that hold whole readings are read as well.
"""

import base64
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from sluicegate.domain.evidence import Reading
from sluicegate.errors import InputError

WHOLE_EVERY = 50
"""Looks after which a reading is written whole: at a look every five seconds, four minutes."""

Packed = Mapping[str, Any]
_WHOLE: Set[type] = {int}
_NUMBERS: Set[type] = {int, float}


@dataclass(frozen=True)
class Base:
    """A journaled reading that the next one may stand on."""

    number: int
    """Of the event that holds it."""
    tree: Mapping[str, Any]
    """The reading as plain JSON."""
    age: int = 0
    """Readings since the last whole one."""

    @property
    def reading(self) -> Reading:
        return Reading.from_dict(self.tree)


def pack(reading: Reading, base: Base) -> dict[str, Any]:
    """The reading as the journal keeps it, to be read by someone who has `base`."""
    tree = plain(reading)
    if base.age + 1 >= WHOLE_EVERY:
        return {"since": base.number, "whole": _squeeze(tree)}
    return {"since": base.number, "change": _squeeze(change(base.tree, tree))}


def unpack(packed: Packed, number: int, base: Base) -> Base:
    """The reading of event `number`; `base` is that of event `since(packed)`."""
    if "change" in packed:
        return Base(number, patch(base.tree, _expand(packed["change"])), base.age + 1)
    return Base(number, _expand(packed["whole"]) if "whole" in packed else packed)


def since(packed: Packed) -> int | None:
    """Number of the event that the reading stands on; None in journals that hold whole readings: there it is the one before."""
    found = packed.get("since")
    return None if found is None else int(found)


def trail(entry: Base, looks: Iterable[tuple[int, Packed]]) -> Iterator[Base]:
    """The readings (number, packed) that led to the newest one, oldest first.

    Two watchers who look at the same time make two branches: each judged its own, and the newest one goes on.
    """
    known = dict(looks)
    before = dict(zip(known, (entry.number, *known), strict=False))
    way: list[int] = []
    here = max(known, default=entry.number)
    while here != entry.number:
        way.append(here)
        parent = since(known[here])
        parent = before[here] if parent is None else parent
        if parent >= here or (parent not in known and parent != entry.number):
            raise InputError(f"event {here} stands on event {parent}, which is not before it in its stage: verify the journal")
        here = parent
    base = entry
    for number in reversed(way):
        base = unpack(known[number], number, base)
        yield base


def plain(value: Any) -> Any:
    """The value with JSON's types alone: mappings for dataclasses, lists for tuples, text for keys."""
    if isinstance(value, list | tuple):
        return list(value) if _types(value) <= _NUMBERS else [plain(v) for v in value]
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return {str(k): plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def change(before: Any, now: Any) -> dict[str, Any]:
    """What makes `now` of `before`, both plain: {"set": value}, {"keys": …, "drop": …} or {"add": …, "at": …}; empty if nothing."""
    if isinstance(now, dict) and isinstance(before, dict):
        inner = {k: change(before[k], v) if k in before else {"set": v} for k, v in now.items()}
        keys, drop = {k: c for k, c in inner.items() if c}, sorted(before.keys() - now.keys())
        return {k: v for k, v in (("keys", keys), ("drop", drop)) if v}
    if _same(before, now):
        return {}
    if _numbers(now) and _numbers(before) and len(now) == len(before):
        return _counted(before, now)
    return {"set": now}


def patch(before: Any, changed: Mapping[str, Any]) -> Any:
    """The value that `change` was taken of."""
    if "set" in changed:
        return changed["set"]
    if "add" in changed:
        return _counted_on(before, changed)
    if not changed:
        return before
    dropped = set(changed.get("drop", ()))
    kept = {k: v for k, v in before.items() if k not in dropped}
    return kept | {k: patch(kept.get(k), c) for k, c in changed.get("keys", {}).items()}


def _counted(before: Sequence[Any], now: Sequence[Any]) -> dict[str, Any]:
    """Steps of the entries that changed; a list of one holds an entry that no step reaches. `at`: gaps between their places."""
    pairs = enumerate(zip(before, now, strict=True))
    if _types(before) == _types(now) == _WHOLE:  # most of a reading
        places = [i for i, (old, new) in pairs if old != new]
        steps = [now[i] - before[i] for i in places]
    else:
        places = [i for i, (old, new) in pairs if not _same(old, new)]
        steps = [_step(before[i], now[i]) for i in places]
    if len(places) == len(now):
        return {"add": steps}
    return {"add": steps, "at": [b - a for a, b in zip((0, *places), places, strict=False)]}


def _counted_on(before: Sequence[Any], changed: Mapping[str, Any]) -> list[Any]:
    now, place = list(before), 0
    for i, step in enumerate(changed["add"]):
        place = place + changed["at"][i] if "at" in changed else i
        now[place] = step[0] if isinstance(step, list) else now[place] + step
    return now


def _step(old: float, new: float) -> Any:
    """The shortest number that takes `old` to `new` exactly, or [new]."""
    if isinstance(old, int) and isinstance(new, int):
        return new - old
    if isinstance(old, float) and isinstance(new, float) and math.isfinite(old) and math.isfinite(new):
        exact = new - old
        places = max(1, -math.floor(math.log10(math.ulp(new))))
        for candidate in (round(exact, places - 1), round(exact, places), exact):
            if _same(old + candidate, new):
                return candidate
    return [new]


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _types(value) <= _NUMBERS


def _same(a: Any, b: Any) -> bool:
    """Equal in type and to the last bit: 1 is not 1.0, and 0.0 is not -0.0. (Not a number is never the same, and written again.)"""
    if type(a) is not type(b) or a != b:
        return False
    if isinstance(a, list):
        return _types(a) == _types(b) == _WHOLE or repr(a) == repr(b)
    return a != 0 or repr(a) == repr(b)


def _types(values: Sequence[Any]) -> set[type]:
    return set(map(type, values))


def _squeeze(value: Any) -> str:
    return base64.b85encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 6)).decode()


def _expand(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b85decode(text)))
