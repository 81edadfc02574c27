"""What a request must look like. A wrong one is refused with the field, its value and what would be valid; a right one comes out
with the types that training saw: numbers as floats, times as UTC text with Z, absent optional fields as None, nothing unknown.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from sluicegate.errors import RequestError
from sluicegate.serving.manifest import Manifest

Body = dict[str, Any]
_NONE = type(None)
LARGEST = 3.4028234663852886e38
"""Largest float32: a number beyond it could not reach the model, whatever features.py makes of it."""


def parse(body: bytes) -> Body:
    """The request's JSON object; RequestError when it is no JSON (NaN and Infinity are none) or no object."""
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise RequestError(f"the body is not JSON ({e}): send one flat JSON object, without NaN or Infinity") from e
    if type(row) is not dict:
        raise RequestError(f"the body is a JSON {_kind(row)}: send one flat JSON object")
    return row


class Schema:
    """The inputs of one model, compiled for speed: the common case costs two comparisons a field."""

    def __init__(self, manifest: Manifest) -> None:
        self._inputs = manifest.inputs
        self._event_time = manifest.event_time
        self._known = dict.fromkeys((manifest.request_id, manifest.event_time, manifest.user_id, *manifest.inputs)).keys()
        self._times = [(manifest.event_time, True)]
        self._numbers: list[tuple[str, tuple[type, ...], float, float]] = []
        self._strings: list[tuple[str, tuple[type, ...], frozenset[Any] | None]] = []
        for name, field in manifest.inputs.items():
            self._compile(name, field)

    def check(self, row: Body) -> None:
        """Bring the values of `row` to their types in place; RequestError names the first wrong field.

        Request id and user id are the caller's matter.
        """
        get = row.get
        for name, kinds, low, high in self._numbers:
            value = get(name)
            if type(value) not in kinds or (value is not None and not low <= value <= high):
                row[name] = self._mended(name, value)
            elif type(value) is int and float in kinds:
                row[name] = float(value)
        for name, kinds, values in self._strings:
            value = get(name)
            if type(value) not in kinds or (values is not None and value is not None and value not in values):
                raise self._refusal(name, value)
        for name, required in self._times:
            value = get(name)
            if value is not None or required:
                row[name] = _utc(name, value)

    def visible(self, row: Body) -> Body:
        """A checked row as features.py sees it: absent optional fields as None, nothing that the spec does not name."""
        if row.keys() == self._known:
            return row
        return {name: row.get(name) for name in self._known}

    def _compile(self, name: str, field: Mapping[str, Any]) -> None:
        required, kind = field["required"], field["type"]
        nothing = () if required else (_NONE,)
        if kind == "timestamp":
            self._times.append((name, required))
        elif kind in ("number", "integer"):
            kinds = (float, int, *nothing) if kind == "number" else (int, *nothing)
            low, high = field["min"], field["max"]
            self._numbers.append((name, kinds, -LARGEST if low is None else low, LARGEST if high is None else high))
        else:
            values = None if field["values"] is None else frozenset(field["values"])
            self._strings.append((name, (bool if kind == "boolean" else str, *nothing), values))

    def _mended(self, name: str, value: Any) -> int:
        """A whole number written as 5.0 is the integer 5; everything else is refused."""
        field = self._inputs[name]
        low = -LARGEST if field["min"] is None else field["min"]
        high = LARGEST if field["max"] is None else field["max"]
        if field["type"] == "integer" and type(value) is float and value.is_integer() and low <= value <= high:
            return int(value)
        raise self._refusal(name, value)

    def _refusal(self, name: str, value: Any) -> RequestError:
        return refusal(name, value, _valid(self._inputs[name]))


def refusal(name: str, value: Any, valid: str) -> RequestError:
    """The error for one wrong or missing field."""
    if value is None:
        return RequestError(f"the field '{name}' is missing: send {valid}", name)
    shown = repr(value)
    return RequestError(f"the field '{name}' is {shown if len(shown) <= 100 else shown[:97] + '...'}: send {valid}", name)


def _utc(name: str, value: Any) -> str:
    """ISO-8601 text in UTC with Z, as training saw it; whatever has a time zone can be brought to it."""
    try:
        moment = datetime.fromisoformat(value)
        if len(value) == 20 and value[4] == value[7] == "-" and value[10] == "T" and value[19] == "Z":
            return str(value)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        moment = moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise refusal(name, value, "an ISO-8601 time with its zone, such as 2013-07-01T12:30:00Z") from None
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _valid(field: Mapping[str, Any]) -> str:
    words = {"number": "a number", "integer": "a whole number", "boolean": "true or false", "string": "a string"}
    text = words[field["type"]]
    low, high = field["min"], field["max"]
    if low is not None and high is not None:
        text += f" from {low:g} to {high:g}"
    elif low is not None or high is not None:
        text += f" of at least {low:g}" if low is not None else f" of at most {high:g}"
    if field["values"] is not None:
        text = "one of " + ", ".join(repr(v) for v in field["values"])
    return text if field["required"] else text + " or null"


def _kind(value: Any) -> str:
    kinds = {list: "list", str: "string", bool: "truth value", _NONE: "null"}
    return kinds.get(type(value), "number")
